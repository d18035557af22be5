"""Durations, sizes and dictionaries as users write them."""

import pytest

from inoculate.errors import InputError
from inoculate.workflows.fuzz_request import bytes_of, seconds_of, tokens_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1.5h", 5400), ("90", 90), ("250ms", 0.25), ("2d", 172800)]
)
def test_durations(text, seconds):
    assert seconds_of(text, "--time") == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1w", "1e3", "10 minutes"])
def test_what_is_no_duration_is_told(text):
    with pytest.raises(InputError, match="--time is"):
        seconds_of(text, "--time")


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("2G", 2 << 30), ("64KiB", 64 << 10), ("1000", 1000)]
)
def test_sizes(text, size):
    assert bytes_of(text, "--memory") == size


def test_a_dictionary_in_afl_s_format(tmp_path):
    path = tmp_path / "words"
    path.write_text('# words\nkey="a\\x00\\"b"\n"plain"\n\n  token@2 = "\\\\n"\n""\n')
    assert tokens_of(path) == [b'a\x00"b', b"plain", b"\\n"]
    assert tokens_of(None) == []


def test_a_line_that_is_no_token_is_told_with_its_number(tmp_path):
    path = tmp_path / "words"
    path.write_text('"a"\nb\n')
    with pytest.raises(InputError, match="words:2: no token"):
        tokens_of(path)
