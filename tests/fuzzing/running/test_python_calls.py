"""A function is called under a time limit, and what comes of it is named and placed."""

import signal
import sys

import pytest

from inoculate.fuzzing.running.python_calls import Function, cwe_of, form_of, found

MODULE = """
import re
import time

class OwnError(Exception):
    pass

class Parser:
    @classmethod
    def load(cls, data):
        return inner(data)

def inner(data):
    if data == b"index":
        return [][1]
    if data == b"own":
        raise OwnError
    if data == b"value":
        data.decode("utf-16")
        raise ValueError
    if data == b"unicode":
        b"\\xff".decode()
    if data == b"deep":
        return inner(data) + 1
    if data == b"exit":
        raise SystemExit(3)
    if data == b"spin":
        while True:
            pass
    if data == b"stubborn":
        for _ in range(3):
            try:
                while True:
                    pass
            except BaseException:
                continue
    if data == b"assert":
        assert False, "no"
    if data == b"none":
        return None + 1

def text(data: str): return len(data)
def raw(data: bytes): return len(data)
def either(data: "str | bytes"): return len(data)
def bare(data): return data + ""
def plain(data): return len(data)
not_callable = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "sample_target.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.getsignal(signal.SIGPROF)
    yield "sample_target"
    signal.signal(signal.SIGPROF, before)
    sys.modules.pop("sample_target", None)


def call(module, data, **more):
    given = {"form": "bytes", "timeout_s": 0.2} | more
    return Function(f"{module}.Parser.load", **given)(data)


@pytest.mark.parametrize(
    ("data", "kind", "cwe"),
    [
        (b"index", "IndexError", 129),
        (b"deep", "RecursionError", 674),
        (b"exit", "SystemExit", 248),
        (b"assert", "AssertionError", 617),
        (b"none", "TypeError", 476),
        (b"spin", "hang", 400),
    ],
)
def test_a_bad_end_has_its_kind_weakness_and_place(module, data, kind, cwe):
    ending = call(module, data)
    assert (ending.kind, ending.cwe) == (kind, cwe)
    assert (ending.place.function, ending.place.file[-16:]) == ("inner", "sample_target.py")
    assert all("python_calls" not in frame.file for frame in ending.frames)
    assert "inner" in ending.trace


@pytest.mark.parametrize("data", [b"", b"own", b"value", b"unicode"])
def test_a_refusal_is_no_bad_end(module, data):
    assert call(module, data) is None


def test_what_is_expected_is_no_bad_end(module):
    assert call(module, b"index", expected=["IndexError"]) is None
    assert call(module, b"index", expected=["LookupError"]) is None
    assert call(module, b"index", expected=["json.JSONDecodeError"]) is not None


@pytest.mark.parametrize("name", ["NoSuchError", "json.loads", "no.such.Error"])
def test_an_expected_exception_has_to_exist(module, name):
    with pytest.raises(LookupError, match="no such exception"):
        call(module, b"", expected=[name])


def test_what_swallows_the_end_is_told_again_until_it_ends(module):
    assert call(module, b"stubborn") is None


def test_the_clock_is_stopped_after_a_call(module):
    call(module, b"index")
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("function", "form"),
    [("text", "text"), ("raw", "bytes"), ("either", "text"), ("bare", "text"), ("plain", "bytes")],
)
def test_what_a_function_takes_is_told_by_annotation_or_a_call(module, function, form):
    assert form_of(found(f"{module}.{function}"), b"seed") == form


def test_text_is_the_input_as_utf_8(module):
    function = Function(f"{module}.text", form="text", timeout_s=1.0)
    assert function(b"\xff\xfe ok") is None


@pytest.mark.parametrize("name", ["nothing", "Parser.nothing", "not_callable"])
def test_a_name_that_is_no_function_is_told(module, name):
    with pytest.raises(LookupError, match="no such function"):
        found(f"{module}.{name}")


def test_a_module_that_needs_another_says_which(module, tmp_path):
    (tmp_path / "needs_more.py").write_text("import not_there_at_all")
    with pytest.raises(LookupError, match="needs the module not_there_at_all"):
        found("needs_more.load")


def test_every_other_exception_is_one_that_nobody_caught():
    assert cwe_of("KeyError") == 248
    assert cwe_of("TypeError", "unsupported operand") == 248
