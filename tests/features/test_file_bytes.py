"""Strings found with arrays, against a regular expression."""

import re

import numpy as np
import pytest

from inoculate.features import file_bytes as module
from inoculate.features.file_bytes import file_bytes, printable, wide_strings

_STRING = re.compile(rb"[\x20-\x7e]{5,}")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\x00){5,}")


@pytest.mark.parametrize("seed", range(20))
def test_strings_are_runs_of_five_printable_characters(seed):
    rng = np.random.default_rng(seed)
    data = rng.integers(0x18, 0x88, 3000).astype(np.uint8)
    data[rng.random(3000) < 0.05] = 0
    found = _STRING.findall(data.tobytes())
    assert printable(data) == (b"".join(s + b"\n" for s in found), len(found))


def test_strings_at_both_ends_count():
    assert printable(np.frombuffer(b"hello\0world!", np.uint8)) == (b"hello\nworld!\n", 2)
    assert printable(np.frombuffer(b"", np.uint8)) == (b"", 0)


def test_wide_strings_are_found_at_even_and_odd_places():
    text = "a wide text".encode("utf-16le")
    data = b"\0" + text + b"\xff\xff" + text + b"\xff\xff\xff" + "four".encode("utf-16le")
    assert wide_strings(np.frombuffer(data, np.uint8)) == len(_WIDE.findall(data)) == 2


def test_marks_are_counted():
    text = b"MZ\0http://a.example/x\0C:\\Windows\\cmd.exe\0/bin/sh /tmp/x\0 10.0.0.1 \0"
    found = file_bytes(text + b"HKLM\\Software\\x" + b"\x7fELF" + b"QUJD" * 20)
    expected = {
        **{"mz_marks": 1, "elf_marks": 1, "urls": 1, "windows_paths": 1, "shells": 2},
        **{"registry_keys": 2, "addresses": 1, "base64_runs": 1, "programs": 1},
    }
    assert {k: found[k] for k in expected} == expected


def test_versions_and_longer_numbers_are_no_addresses():
    assert file_bytes(b"version 1.2.3.4.5 and 1234.1.1.1 end")["addresses"] == 0


def test_an_empty_file_and_many_blocks_are_survived(monkeypatch):
    assert file_bytes(b"")["byte_bits"] == 0
    monkeypatch.setattr(module, "_BLOCK", 64)
    assert file_bytes(b"\0some text here\0" * 50)["strings"] >= 50
