"""Which ends are the same, and how inputs are made short."""

import pytest

from inoculate.fuzzing.endings.crashes import Ending, Frame, minimised


def frames(*names, own=True):
    return tuple(Frame(name, "a.c", i + 1, own) for i, name in enumerate(names))


def test_the_same_calls_and_kind_are_one_bug_whatever_was_said():
    one = Ending("SEGV", "READ", frames("f", "g"), "at 0x1")
    assert one.key == Ending("SEGV", "READ of size 9", frames("f", "g"), "at 0x2").key
    assert one.key != Ending("FPE", "READ", frames("f", "g")).key
    assert one.key != Ending("SEGV", "READ", frames("h", "g")).key


def test_two_places_of_one_function_are_two_bugs():
    first = Ending("IndexError", frames=(Frame("f", "a.py", 3),))
    assert first.key != Ending("IndexError", frames=(Frame("f", "a.py", 9),)).key


def test_calls_of_libraries_do_not_tell_bugs_apart():
    library = frames("memcpy", own=False)
    assert (
        Ending("SEGV", frames=frames("f", "g")).key
        == Ending("SEGV", frames=library + frames("f", "g")).key
    )


def test_a_recursion_is_one_bug_however_deep_it_was():
    cycle = ("parse", "item")
    deep = Ending("RecursionError", frames=frames("len", *(cycle * 40), "main"))
    other = Ending("RecursionError", frames=frames("item", *(cycle * 55), "main"))
    assert deep.key == other.key
    assert deep.place.function in cycle


def test_a_hang_is_one_bug_wherever_it_was_interrupted():
    outer = ("loop", "parse", "load", "main")
    first = Ending("hang", frames=frames("inner", *outer))
    assert first.key == Ending("hang", frames=frames("other", "deeper", *outer)).key


def test_the_place_is_the_innermost_call_of_the_target():
    ending = Ending("SEGV", frames=frames("memcpy", own=False) + frames("f", "g"))
    assert ending.place.function == "f"
    assert Ending("SEGV").place is None


@pytest.mark.parametrize(
    ("data", "bad", "short"),
    [
        (b"aaaa!bbbb", lambda d: b"!" in d, b"!"),
        (b"x" * 300 + b"<" + b"y" * 300 + b">", lambda d: b"<" in d and b">" in d, b"<>"),
        (b"abc", lambda d: True, b""),
        (b"abcdef", lambda d: len(d) >= 4, b"0000"),
        (b"", lambda d: True, b""),
    ],
)
def test_an_input_is_made_short_and_plain(data, bad, short):
    assert minimised(data, bad) == short


def test_making_short_keeps_to_its_executions():
    calls = []

    def same(candidate):
        calls.append(candidate)
        return False

    data = bytes(range(256)) * 64
    assert minimised(data, same, executions=50) == data
    assert len(calls) == 50
