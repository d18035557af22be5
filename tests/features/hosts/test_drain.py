"""Drain: templates by hand, its state through JSON, and its bounds."""

import json
import random

import pytest

from inoculate.errors import InputError
from inoculate.features.hosts.drain import MOST_WORDS, Drain

LINES = [
    "Receiving block <id> src: <ip>",
    "Receiving block <id> src: /x",
    "PacketResponder 1 for block <id> terminating",
    "PacketResponder 2 for block <id> terminating",
    "Verification succeeded for <id>",
    "",
    "",
]


def learned(lines, **arguments) -> tuple[Drain, list[int]]:
    drain = Drain(**arguments)
    return drain, [drain.add(line) for line in lines]


def test_templates_of_the_papers_kind_of_lines():
    drain, groups = learned(LINES)
    assert groups == [0, 0, 1, 1, 2, 3, 3]
    assert [drain.template(i) for i in range(4)] == [
        "Receiving block <id> src: <*>",
        "PacketResponder <*> for block <id> terminating",
        "Verification succeeded for <id>",
        "",
    ]


def test_lines_are_of_one_template_from_the_threshold_on():
    for similarity, n in ((0.75, 1), (0.76, 2)):
        drain, _ = learned(["a b c d", "a b c x"], similarity=similarity)
        assert len(drain) == n


def test_the_most_similar_group_wins_and_of_two_the_more_specific():
    _, groups = learned(["a b c d", "a b x y", "a b x d"], similarity=0.75)
    assert groups == [0, 1, 0]
    lines = ["a b c d e", "a b c x y", "a b z z z", "a b c z q"]
    drain, groups = learned(lines[:3])
    assert drain.template(0) == "a b c <*> <*>"
    assert drain.add(lines[3]) == groups[2]


def test_a_node_tells_apart_no_more_words_than_allowed():
    drain, groups = learned([f"{w} said so" for w in "abcd"], most_children=2)
    assert groups == [0, 1, 2, 2]
    assert drain.template(2) == "<*> said so"


def test_the_template_met_longest_ago_is_forgotten():
    drain, groups = learned(["a", "b", "a", "c"], most_templates=2)
    assert groups == [0, 1, 0, 2]
    assert [drain.template(i) for i in (0, 1, 2)] == ["a", None, "c"]
    assert drain.add("b") == 3
    assert len(drain) == 2


def test_nothing_is_left_of_what_was_forgotten():
    rng = random.Random(0)
    words = [f"w{chr(97 + i)}" for i in range(20)]
    drain, _ = learned(
        (" ".join(rng.choices(words, k=rng.randrange(6))) for _ in range(3000)), most_templates=10
    )
    assert len(drain) <= 10
    assert sum(map(len, drain._leaves.values())) == len(drain)
    assert sum(sum(below.values()) for below in drain._children.values()) == sum(
        len(g.path) - 1 for g in drain._groups.values()
    )


def test_the_state_goes_through_json_and_learns_on_alike():
    rng = random.Random(1)
    lines = [" ".join(rng.choices("abcdef", k=rng.randrange(1, 7))) for _ in range(300)]
    drain, _ = learned(lines[:200], most_templates=30)
    again = Drain.from_state(json.loads(json.dumps(drain.state())))
    assert again.state() == drain.state()
    assert [again.add(x) for x in lines[200:]] == [drain.add(x) for x in lines[200:]]


def test_a_line_of_many_words_is_cut():
    drain, (group,) = learned(["x " * 10_000])
    assert drain.template(group).count("x") == MOST_WORDS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("depth", 2),
        ("depth", True),
        ("similarity", "x"),
        ("similarity", float("nan")),
        ("most_templates", -1),
        ("next", 0),
        ("groups", 7),
        ("groups", [{"number": 0, "path": ["3"], "words": ["a"], "n_lines": 1}]),
        ("groups", [{"number": 0, "path": [], "words": [], "n_lines": 1}]),
        ("groups", [{"number": 0, "path": ["1", 7], "words": ["a"], "n_lines": 1}]),
        ("groups", [{"number": 0, "path": ["1", "a"], "words": ["a"], "n_lines": 1}] * 2),
    ],
)
def test_a_damaged_state_is_refused(key, value):
    state = learned(LINES)[0].state() | {key: value}
    with pytest.raises(InputError, match="no state of Drain"):
        Drain.from_state(state)


def test_a_state_lacking_a_key_is_refused():
    with pytest.raises(InputError, match="no state of Drain"):
        Drain.from_state({"depth": 4})
