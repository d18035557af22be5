"""What sanitizers say, read; and kinds of crashes as weaknesses."""

import signal

import pytest

from inoculate.fuzzing.endings.sanitizers import cwe_of, ending_of, language_of

HEAP = """
==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000018 at pc 0x55 bp 0x7f
WRITE of size 12 at 0x602000000018 thread T0
    #0 0x560a6ed38619 in __asan_memcpy (/tmp/fz/parser+0xa3619) (BuildId: b7d7)
    #1 0x560a6ed741e2 in ns::parse(unsigned char const*, int) /my code/p.cc:9:20
    #2 0x560a6ed741e2 in main p.c:13:140
    #3 0x7f94bfcc4249 in __libc_start_call_main csu/../sysdeps/nptl/libc_start_call_main.h:58:16
    #4 0x560a6ecb63f0 in _start (/tmp/fz/parser+0x213f0) (BuildId: b7d7)

0x602000000018 is located 0 bytes to the right of 8-byte region
allocated by thread T0 here:
    #0 0x560a6ed3923e in __interceptor_malloc (/tmp/fz/parser+0xa423e)
    #1 0x560a6ed74142 in other /tmp/fz/p.c:7:14
"""
SIGNED = """p.c:4:9: runtime error: signed integer overflow: 2147483647 + 1 cannot be represented
    #0 0x4a in add /src/p.c:4:9
    #1 0x4b in main /src/p.c:9:3

SUMMARY: UndefinedBehaviorSanitizer: undefined-behavior p.c:4:9 in
"""
NULL = """==9==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000000 (pc 0x0 T0)
==9==The signal is caused by a READ memory access.
==9==Hint: address points to the zero page.
    #0 0x4a in f /src/p.c:4:9
"""


def read(said, *, code=-signal.SIGABRT, timed_out=False):
    return ending_of(code, said, timed_out=timed_out, own=lambda module: module == "parser")


def test_a_report_is_read_with_its_first_stack_only():
    ending = read(HEAP)
    assert (ending.kind, ending.detail, ending.cwe) == (
        "heap-buffer-overflow", "WRITE of size 12", 122
    )  # fmt: skip
    assert [f.function for f in ending.frames] == [
        "__asan_memcpy", "ns::parse", "main", "__libc_start_call_main", "_start"
    ]  # fmt: skip
    assert (ending.place.function, ending.place.file, ending.place.line) == (
        "ns::parse", "/my code/p.cc", 9
    )  # fmt: skip
    assert [f.function for f in ending.own] == ["ns::parse", "main"]


def test_undefined_behaviour_is_placed_by_its_own_line():
    ending = read(SIGNED)
    assert (ending.kind, ending.cwe) == ("signed-integer-overflow", 190)
    assert (ending.place.function, ending.place.line) == ("add", 4)
    assert [f.function for f in ending.frames] == ["add", "main"]


def test_a_pointer_that_is_null_is_no_other_read():
    assert (read(NULL).kind, read(NULL).cwe) == ("null-dereference", 476)
    wild = NULL.replace("Hint: address points to the zero page.", "")
    assert (read(wild).kind, read(wild).cwe) == ("SEGV", 125)


@pytest.mark.parametrize(
    ("said", "kind", "cwe"),
    [
        ("attempting double-free on 0x1 in thread T0:", "double-free", 415),
        ("attempting free on address which was not malloc()-ed: 0x1", "bad-free", 590),
        ("stack-overflow on address 0x7ff (pc 0x1)", "stack-overflow", 674),
        ("requested allocation size 0xffff exceeds maximum", "allocation-size-too-big", 789),
        ("heap-use-after-free on address 0x1", "heap-use-after-free", 416),
        ("FPE on unknown address 0x1", "FPE", 369),
        ("something-new on address 0x1", "something-new", None),
    ],
)
def test_kinds_of_address_sanitizer_have_their_weakness(said, kind, cwe):
    ending = read(f"==1==ERROR: AddressSanitizer: {said}\n")
    assert (ending.kind, ending.cwe) == (kind, cwe)


@pytest.mark.parametrize(
    ("words", "cwe"),
    [
        ("division by zero", 369),
        ("index 9 out of bounds for type 'int[4]'", 129),
        ("member access within null pointer of type 'struct s'", 476),
        ("load of misaligned address 0x1", 704),
        ("a new kind of error", 758),
    ],
)
def test_kinds_of_undefined_behaviour_have_their_weakness(words, cwe):
    assert read(f"/src/p.c:1:2: runtime error: {words}\n").cwe == cwe


def test_without_a_sanitizer_the_signal_is_all_there_is():
    ending = read("", code=-signal.SIGSEGV)
    assert (ending.kind, ending.cwe, ending.place) == ("SEGV", 125, None)
    assert read("", code=-signal.SIGKILL).kind == "memory-limit"


@pytest.mark.parametrize("code", [0, 1, 255, -signal.SIGPIPE, -signal.SIGXFSZ])
def test_an_exit_status_is_no_crash(code):
    assert read("parse error", code=code) is None


def test_what_took_too_long_is_a_hang_unless_it_told_of_a_crash_before():
    ended = HEAP.replace(
        "heap-buffer-overflow on address 0x602000000018", "ABRT on unknown address"
    )
    assert (read(ended, timed_out=True).kind, read(ended).kind) == ("hang", "ABRT")
    assert read(ended, timed_out=True).place.function == "ns::parse"
    assert read("", timed_out=True).kind == "hang"
    assert read(HEAP, timed_out=True).kind == "heap-buffer-overflow"


@pytest.mark.parametrize("size", [1 << 10, 1 << 18])
def test_hostile_output_is_read_in_bounded_time_and_size(size):
    for piece in ("#0 0x1 in ", "    #0 0x1 in f(", "ERROR: AddressSanitizer: ", ":1:1: runtime "):
        said = (piece * size)[:size]
        ending = read(said + "\n" + said)
        assert ending is not None and len(ending.trace) <= 64_000 and len(ending.frames) <= 300


def test_weaknesses_tell_reads_from_writes():
    assert (cwe_of("heap-buffer-overflow"), cwe_of("heap-buffer-overflow", writes=True)) == (
        125,
        122,
    )
    assert cwe_of("unheard of") is None


def test_a_language_is_told_from_the_file():
    assert [language_of(f) for f in ("a.c", "b.cc", "c.py", "d")] == [
        "c",
        "cpp",
        "python",
        "native",
    ]
