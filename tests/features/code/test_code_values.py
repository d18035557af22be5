import pytest

from inoculate.features.code.code_values import (
    CLEAN,
    FRESH,
    FROM_OUTSIDE,
    NOTHING,
    RAW,
    TREATED,
    UNKNOWN,
    Value,
    a_list,
    a_map,
    at_index,
    called_on,
    combined,
    joined,
    of_level,
    truth,
    with_index,
)


def plain(known):
    return Value(known, CLEAN)


@pytest.mark.parametrize(
    ("left", "op", "right", "known"),
    [
        (7, "*", 18, 126),
        (232, ">", 200, True),
        (294, "-", 86, 208),
        (7, "/", 2, UNKNOWN),  # 3 or 3.5, as the language is
        (6, "/", 2, 3),
        (7, "%", 2, 1),
        (-7, "%", 2, UNKNOWN),  # 1 or -1, as the language is
        (1, "/", 0, UNKNOWN),
        (1 << 60, "*", 1 << 60, UNKNOWN),
        ("a", "+", "b", "ab"),
        ("a", "+", 1, UNKNOWN),
        ("should", "not in", "This should", False),
        ("x", "in", "abc", False),
        (None, "==", None, True),
        (None, "!=", "a", True),
        ("A", "===", "B", False),
        (1, "<<", 100_000_000, UNKNOWN),
        (2, "**", 100_000_000, UNKNOWN),
    ],
)
def test_constants_are_combined_where_all_languages_agree(left, op, right, known):
    assert combined(op, plain(left), plain(right)) == plain(known)


def test_a_combination_is_as_far_from_outside_as_the_nearer_side():
    assert combined("+", plain("a"), FROM_OUTSIDE) == FROM_OUTSIDE
    assert combined("==", of_level(TREATED), plain(1)).level == TREATED


def test_a_list_keeps_apart_what_is_put_into_it():
    items = plain(FRESH)
    for value in (plain("safe"), FROM_OUTSIDE, plain("more")):
        _, items = called_on(items, "add", [value])
    _, items = called_on(items, "remove", [plain(0)])
    assert called_on(items, "get", [plain(0)])[0] == FROM_OUTSIDE
    assert called_on(items, "get", [plain(1)])[0] == plain("more")
    assert items.level == RAW and at_index(items, NOTHING).level == RAW


def test_a_map_gives_back_what_was_put_under_the_key():
    held = plain(FRESH)
    _, held = called_on(held, "put", [plain("a"), plain("x")])
    _, held = called_on(held, "put", [plain("b"), FROM_OUTSIDE])
    assert called_on(held, "get", [plain("a")])[0] == plain("x")
    assert called_on(held, "get", [plain("b")])[0] == FROM_OUTSIDE
    assert called_on(held, "get", [plain("c")])[0].level == RAW
    assert called_on(held, "get", [NOTHING])[0].level == RAW
    assert at_index(with_index(held, plain("b"), plain("y")), plain("b")) == plain("y")


def test_sections_of_a_configuration_are_keys_too():
    held = plain(FRESH)
    _, held = called_on(held, "add_section", [plain("s")])
    _, held = called_on(held, "set", [plain("s"), plain("a"), plain("x")])
    _, held = called_on(held, "set", [plain("s"), plain("b"), FROM_OUTSIDE])
    assert called_on(held, "get", [plain("s"), plain("a")])[0] == plain("x")
    assert called_on(held, "get", [plain("s"), plain("b")])[0] == FROM_OUTSIDE


def test_what_a_text_is_asked_is_answered():
    assert called_on(plain("ABC"), "charat", [plain(1)])[0] == plain("B")
    assert called_on(plain("ABC"), "length", [])[0] == plain(3)
    assert called_on(plain("ABC"), "startswith", [plain("A")])[0] == plain(True)
    assert called_on(plain("ABC"), "charat", [plain(3)])[0].known is UNKNOWN
    assert called_on(plain("ABC"), "trim", []) is None


def test_where_ways_meet_only_what_both_say_is_known():
    assert joined(plain(1), plain(1)) == plain(1)
    assert joined(plain(1), FROM_OUTSIDE) == FROM_OUTSIDE
    assert joined(plain("a"), plain("b")) == NOTHING


def test_lists_and_maps_do_not_grow_without_bound_nor_hold_each_other():
    assert a_list([plain(1)] * 65).known is UNKNOWN
    assert a_map({i: plain(1) for i in range(65)}).known is UNKNOWN
    assert a_list([a_list([FROM_OUTSIDE])]).known == (FROM_OUTSIDE,)
    long = plain("a" * 900)
    assert combined("+", long, long).known is UNKNOWN


def test_only_what_every_language_takes_for_true_is_true():
    assert [truth(plain(v)) for v in (True, 0, None, "", "0", UNKNOWN)] == [
        True, False, False, None, None, None,
    ]  # fmt: skip
