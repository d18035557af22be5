"""What inputs of a native program pass, told by the real ``afl-showmap``."""

import os
import shutil
import subprocess
import threading
import time

import pytest

from inoculate.errors import MissingExtraError
from inoculate.fuzzing.running.limits import Limits, processes_of
from inoculate.fuzzing.running.native import Program
from inoculate.fuzzing.running.native_tracer import NativeTracer

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
volatile int sum;
int main(int argc, char **argv) {
  unsigned char b[4096];
  FILE *f = argc > 1 ? fopen(argv[1], "rb") : stdin;
  size_t n = f ? fread(b, 1, sizeof b, f) : 0;
  if (n == 0) return 0;
  if (b[0] == 'C') abort();
  if (b[0] == 'H') for (;;) sum++;
  if (b[0] == 'K') kill(getppid(), 9);
  if (b[0] == 'R') sum = 7;
  for (size_t i = 0; i < n; i++) if (b[i] == 'l') sum++;
  return 0;
}
"""
MARK = f"native-tracer-{os.getpid()}"


@pytest.fixture(scope="module", params=["plain", "sanitized"])
def program(request, tmp_path_factory):
    compiler = shutil.which("afl-clang-fast")
    if compiler is None or shutil.which("afl-showmap") is None:
        pytest.skip("afl-clang-fast is not installed; .ci/run installs it from Debian's afl++")
    folder = tmp_path_factory.mktemp("traced")
    (folder / "traced.c").write_text("#include <signal.h>\n" + SOURCE)
    more = {"AFL_USE_ASAN": "1"} if request.param == "sanitized" else {}
    subprocess.run(
        [compiler, "-O1", "-w", "-o", str(folder / "traced"), str(folder / "traced.c")],
        check=True, capture_output=True, timeout=120,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "AFL_QUIET": "1", **more},
    )  # fmt: skip
    return folder / "traced"


@pytest.fixture(params=["@@", None])
def tracer(request, program, tmp_path):
    arguments = () if request.param is None else (request.param,)
    limits = Limits(512 << 20, 0.5)
    yield NativeTracer(Program.open(program, arguments), limits, tmp_path, MARK)
    assert list(tmp_path.iterdir()) == []
    assert not list(processes_of(MARK))


def test_a_costly_input_passes_more_and_a_rare_one_has_an_edge_of_its_own(tracer):
    tracer.start()
    plain, again, costly, rare = tracer([b"xxxx", b"xxxx", b"llllllllllll" * 9, b"Rxxx"])
    assert plain == again
    assert sum(costly.values()) > 10 * sum(plain.values())
    assert set(rare) - set(plain) - set(costly)


def test_a_crash_is_traced_and_one_without_an_end_does_not_last(tracer):
    began = time.monotonic()
    crash, endless, fine = tracer([b"C", b"H", b"x"])
    assert crash and fine and set(crash) != set(fine)
    assert endless is None or isinstance(endless, dict)
    assert time.monotonic() - began < 60


def test_a_target_that_ends_its_server_costs_only_what_was_asked_with_it(tracer):
    assert isinstance(tracer([b"x", b"K", b"x"]), list)
    assert tracer([b"x"])[0]


def test_an_empty_input_is_not_known(tracer):
    assert tracer([b""]) == [None]


def test_it_can_be_interrupted(tracer):
    done = []
    thread = threading.Thread(target=lambda: done.extend(tracer([b"H"] * 100)))
    thread.start()
    while thread.is_alive():
        time.sleep(0.2)
        tracer.interrupt()
    assert len(done) == 100 and None in done
    tracer.close()


def test_a_missing_tool_is_told(tracer, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtraError, match="afl-showmap"):
        tracer.start()
