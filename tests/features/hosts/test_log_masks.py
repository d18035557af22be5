"""Masks of log lines: the kind of each part by hand, and each line by itself."""

import random

import polars as pl
import pytest

from inoculate.features.hosts.log_masks import KINDS, mask, masked, messages, readable, words

LINES = {
    "port 22 of 443": "port <num> of <num>",
    "10.0.0.1:80 -> 1.2.3.4": "<ip>:<num> -> <ip>",
    "from fe80::1 and ::1, 2001:db8::ff00:42:8329": "from <ip> and <ip>, <ip>",
    "std::string Foo::add add:bad": "std::string Foo::add add:bad",
    "mac 00:1a:2b:3c:4d:5e up": "mac <mac> up",
    "id 550e8400-e29b-41d4-a716-446655440000": "id <uuid>",
    "at 2005-06-03-15.42.50.363779 ok": "at <time> ok",
    "at 2024-05-01T10:00:00Z, 10:00:01": "at <time>, <time>",
    "[10/Oct/2000:13:55:36 -0700] x": "[<time>] x",
    "0x1f 0XAB 0xdeadbeef ff3a deadbeef": "0x<hex> 0X<hex> 0x<hex> <hex> deadbeef",
    "token AKIAIOSFODNN7EXAMPLE12 eth12": "token <id> eth0",
    "mail bob@example.com": "mail <mail>",
    "user=alice USERNAME='bob' x": "user=<user> USERNAME='<user>' x",
    "/home/bob/.ssh C:\\Users\\eve\\x.exe": "/home/<user>/.ssh C:\\Users\\<user>\\x.exe",
    "read /etc/shadow": "read /etc/shadow",
    "tab\there \x1b[31m": "tab here  [0m",
    "naïve ünï7": "naïve ünï0",
    "two\nlines 7": "two lines <num>",
    "": "",
}


@pytest.mark.parametrize("line", LINES)
def test_what_varies_becomes_its_kind(line):
    assert mask([line]) == [LINES[line]]


def test_a_line_is_masked_the_same_alone_and_among_others():
    lines = list(LINES) * 3
    random.Random(0).shuffle(lines)
    assert mask(lines) == [LINES[line] for line in lines]


def test_lines_that_differ_in_what_is_masked_share_one_text():
    lines = [f"sent {n} bytes to 10.0.0.{n} key {n:08x}ab1" for n in range(100, 200)]
    texts, which = masked(messages(pl.Series([*lines, "other", lines[0]])))
    assert len(texts) == 2
    assert which.tolist() == [0] * 100 + [1, 0]


def test_marks_of_kinds_cannot_be_forged():
    assert mask(["from " + "".join(KINDS.values())]) == ["from         "]


def test_words_are_lower_case_and_kinds_are_words():
    texts = pl.Series([f"Failed for {KINDS['ip']} port 0 in /etc/Shadow"])
    assert words(texts).item().to_list() == [
        *("failed", "for", "<ip>", "port", "<num>", "in", "etc", "shadow")
    ]
    assert readable(texts).item() == "Failed for <ip> port <num> in /etc/Shadow"


def test_nothing_at_all_is_masked_to_nothing():
    texts, which = masked(pl.Series([], dtype=pl.String))
    assert len(texts) == len(which) == 0
    assert mask([]) == []
