"""No network, ever: a scan ends as usual where no socket can be made."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "data" / "source"
BLOCKED = """
import socket

class Blocked(socket.socket):
    def __init__(self, *given, **more):
        raise SystemExit("a socket was asked for")

def blocked(*given, **more):
    raise SystemExit("an address was asked for")

socket.socket = socket.SocketType = Blocked
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = blocked
"""


def scan(folder, *, before=(), code="from inoculate.cli.main import main; main()"):
    (folder / "sitecustomize.py").write_text(BLOCKED)
    command = [*before, sys.executable, "-c", code, "scan", str(SOURCES), "--format", "sarif"]
    more = ["--false-alarms", "0.05", "--fail-on", "never"]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [*command, *more], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def can_unshare():
    tool = shutil.which("unshare")
    return tool is not None and not subprocess.run([tool, "-rn", "true"], check=False).returncode


def test_a_scan_makes_no_socket(tmp_path):
    done = scan(tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"version": "2.1.0"' in done.stdout and "socket" not in done.stderr


def test_the_block_would_be_noticed(tmp_path):
    done = scan(tmp_path, code="import socket; socket.socket()")
    assert done.returncode == 1 and "a socket was asked for" in done.stderr


@pytest.mark.skipif(not can_unshare(), reason="unshare -rn is not permitted here")
def test_a_scan_needs_no_network_interface(tmp_path):
    done = scan(tmp_path, before=("unshare", "-rn"))
    assert done.returncode == 0, done.stderr
