"""Historic bugs of real packages: their published triggers are seen, and one is found from a seed.

The packages are read from PyPI, by ``pip download``, into a folder of the user's cache.
"""

import pytest
from benchmarks.siblings import CACHE, sources_of

from inoculate.fuzzing.endings.triage import folders, read_finding
from inoculate.fuzzing.running.limits import Limits, end_all
from inoculate.fuzzing.running.python_run import PythonReplay, PythonTarget
from inoculate.workflows.fuzz import fuzz
from inoculate.workflows.fuzz_request import FuzzRequest

VERSIONS = {"toml": "0.10.2", "ecdsa": "0.13.2", "idna": "3.6", "sqlparse": "0.4.3"}
MARK = "fuzz-real"


@pytest.fixture(scope="module")
def code():
    """The folder of each package."""
    return {name: sources_of(name, version, CACHE) for name, version in VERSIONS.items()}


@pytest.fixture
def ended(code, tmp_path):
    """Return what replays an input on a function of a package."""
    opened = []

    def replayed(function, data, *, timeout_s=0.5):
        path = (str(code[function.split(".")[0]]),)
        target = PythonTarget(function, "auto", (), path, Limits(512 << 20, timeout_s))
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        opened.append(PythonReplay(target, folder, MARK, first=b"x"))
        return opened[-1](data)

    yield replayed
    for one in opened:
        one.close()
    end_all(MARK)


def test_toml_s_index_error_on_a_last_carriage_return_is_seen(ended):
    # uiri/toml, issue 430
    ending = ended("toml.loads", b"\x00\r")
    assert (ending.kind, ending.place.function, ending.place.line) == ("IndexError", "loads", 207)


def test_toml_s_index_error_on_a_comma_in_a_list_is_seen(ended):
    # uiri/toml, issue 444
    ending = ended("toml.loads", b'ping = ["/usr/bin/ping -c4 8.8.8.8", ["packets", "rtt"] ]\n')
    assert (ending.kind, ending.place.function) == ("IndexError", "TomlDecoder.load_array")


def test_ecdsa_s_unexpected_error_on_malformed_der_is_seen(ended):
    # CVE-2019-14853
    for data in (b"", b"\x30"):
        assert ended("ecdsa.der.remove_sequence", data).kind == "IndexError"
    # its own exception is how it refuses
    assert ended("ecdsa.der.remove_sequence", b"\x02") is None


def test_idna_s_quadratic_time_is_seen(ended):
    # CVE-2024-3651, by the payload of GHSA-65pc-fj4g-8rjx
    ending = ended("idna.encode", ("\u0660" * 8000).encode())
    assert (ending.kind, ending.cwe) == ("hang", 400)
    assert any(frame.function == "valid_contexto" for frame in ending.own)


def test_sqlparse_s_recursion_is_seen(ended):
    # CVE-2024-4340, with fewer brackets than the 10,000 that were published
    ending = ended("sqlparse.parse", b"[" * 1000 + b"]" * 1000, timeout_s=60.0)
    assert (ending.kind, ending.cwe) == ("RecursionError", 674)


def test_one_of_them_is_found_from_a_seed(code, tmp_path):
    pytest.importorskip("atheris", reason="atheris has no wheel for this platform; the extra fuzz")
    (tmp_path / "seed").write_bytes(b"title = 'x'\r\nports = [ 1, 2 ]\r\n")
    out = tmp_path / "out"

    def found():
        return [p for p in folders(out / "findings") if read_finding(p)["line"] == 207]

    fuzz(
        FuzzRequest(
            out=out, python="toml.loads", path=(str(code["toml"]),), seeds=(tmp_path / "seed",),
            seconds=300.0, timeout_s=1.0,
        ),
        stop=lambda: bool(found()),
    )  # fmt: skip
    (place,) = found()
    assert (place / "input").read_bytes() == b"\r"
