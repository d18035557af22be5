"""Conditions worth a search: those that may be in a rule, and those that never may."""

import pytest

from inoculate.domain import Fact
from inoculate.features.clauses import Bounds
from inoculate.features.rule_costs import CODE_BITS
from inoculate.features.rule_search import (
    LeftOut,
    bits,
    gather,
    learn,
    leave_out,
    terms_of,
    usual_bounds,
)
from inoculate.rule import identity_in
from inoculate.rules.json import Json
from inoculate.rules.sigma import Sigma
from tests.rules.described import record


def command(text, *who):
    return record(("field:CommandLine", text), *(("who", name) for name in who))


BENIGN = [command(f"dir file{i} /b") for i in range(30)]


def learned(examples, contrary=(), background=BENIGN, **bounds):
    facts = gather(Sigma(), examples, contrary, background)
    rule = learn(facts, Bounds(**{"alarms": 0} | bounds))
    return facts, rule and terms_of(facts, rule)


def test_what_examples_share_and_background_lacks_is_the_rule():
    _, clauses = learned([command("vssadmin delete shadows"), command("x & VSSADMIN list")])
    ((term,),) = clauses
    assert term.holds and term.condition.value in "vssadmin"


def test_a_contrary_record_is_told_apart_by_what_the_example_lacks():
    _, clauses = learned([command(f"tool run {c}") for c in "xy"], [command("tool run --safe")])
    values = {(t.condition.value, t.holds) for clause in clauses for t in clause}
    assert any(not holds and "safe" in value for value, holds in values)


@pytest.mark.parametrize("secret", ["10.1.2.3", "d41d8cd98f00b204e9800998ecf8427e"])
def test_an_address_or_hash_is_never_tried_and_counted(secret):
    facts, clauses = learned([command(f"dir file1 {secret} /b")] * 2)
    assert clauses is None and facts.left_out
    assert not any(secret in c.value for c in facts.conditions)


def test_a_piece_of_an_address_is_not_tried_either():
    facts = gather(Sigma(), [command("curl http://10.1.2.3/a")] * 2, [], BENIGN)
    assert not any("10." in c.value for c in facts.conditions)
    assert any(c.value in "curl http://" for c in facts.conditions)


def test_no_clause_is_made_of_absences_alone():
    _, clauses = learned([command("aaa"), command("bbb"), command("ccc"), command("ddd")])
    assert clauses is None


def test_the_name_of_a_host_or_user_is_never_tried():
    facts, clauses = learned([command("dir file1 wkst17 /b", "WKST17")] * 2)
    assert clauses is None and facts.left_out["a host or user"]


def test_banned_conditions_are_gone_with_their_costs():
    facts = gather(Sigma(), [command("vssadmin delete")], [], BENIGN)
    less = facts.without(facts.conditions[:2])
    assert less.conditions == facts.conditions[2:] and len(less.cost) == len(less.conditions)
    assert less.examples.shape[1] == len(less.conditions)


def test_left_out_examples_are_found_where_they_have_something_in_common():
    alike = [command(f"{c} vssadmin {c}") for c in "abc"]
    other = [command(text) for text in ("certutil -decode", "reg save hklm", "whoami /priv")]
    for examples, found in ((alike, 3), (other, 0)):
        facts = gather(Sigma(), examples, [], BENIGN)
        out = leave_out(facts, Bounds(alarms=0))
        assert (out.found, out.n) == (found, 3) and out.holds_up() == (found == 3)


def test_a_contrary_record_left_out_that_is_matched_speaks_against_the_rules():
    examples = [command(f"tool run {c}") for c in "1234"]
    contrary = [command(f"tool run {c}") for c in ("gamma", "delta", "theta", "kappa")]
    facts = gather(Sigma(), examples, contrary, BENIGN)
    out = leave_out(facts, Bounds(alarms=0, literals=7, clauses=1, steps=20_000))
    assert out.found == 4 and out.wrong > 0 and not out.holds_up()


@pytest.mark.parametrize(
    ("found", "wrong", "n_contrary", "holds"),
    [
        (2, 0, 5, True), (1, 0, 5, False), (5, 1, 5, False), (5, 1, 10, True), (5, 2, 10, False),
        (2, 0, 0, False), (3, 0, 0, True), (3, 3, 3, True), (2, 0, 3, False),
    ],
)  # fmt: skip
def test_few_contrary_records_say_nothing_and_then_half_of_the_examples_must_be_found(
    found, wrong, n_contrary, holds
):
    assert LeftOut(found, 5, wrong, n_contrary).holds_up() == holds


def test_with_contrary_records_a_clause_has_room_for_a_margin_and_uses_it():
    examples = [command(f"tool --force --quiet run {c}") for c in "xy"]
    contrary = [command(f"tool --quiet run {c}") for c in "zw"]
    _, plain = learned(examples, [], [*BENIGN, *contrary])
    _, wide = learned(examples, contrary, [*BENIGN, *contrary])
    assert len(plain[0]) == 1 and len(wide[0]) > 1
    facts = gather(Sigma(), examples, contrary, BENIGN)
    assert learn(facts, Bounds(alarms=0, literals=1)) is not None


def test_a_rule_has_a_clause_for_each_three_examples_at_most_three():
    sizes = [usual_bounds(n, alarms=0).clauses for n in (1, 3, 4, 6, 7, 100)]
    assert sizes == [1, 1, 2, 2, 3, 3]


def test_nothing_in_common_with_any_language_is_no_rule():
    facts = gather(Sigma(), [record(("other", "x"))], [], [])
    assert not facts.conditions and learn(facts, Bounds(alarms=0)) is None


def test_a_short_piece_costs_more_than_a_word():
    assert bits(Fact("has:x", "abc")) > bits(Fact("has:x", "abcdefg"))


def test_code_costs_what_was_learned_of_its_kind_there_and_absent():
    functions = [
        record(("call", "gets"), ("exposed", "raw")),
        record(("call", "fgets"), ("exposed", "raw")),
    ]
    facts = gather(Json(), functions[:1], functions[1:], [record(("loop", "forever"))])
    for condition, cost in zip(facts.conditions, facts.cost, strict=True):
        assert cost == pytest.approx(CODE_BITS[condition.kind], abs=0.05)
    assert bits(Fact("call", "free")) < bits(Fact("call", "release_all"))
    assert bits(Fact("expression:c", "$A+1")) == pytest.approx(CODE_BITS["expression"][0], abs=0.05)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("10.0.0.1", "an address"), ("fe80:0:0:0:1::", "an address"), ("a@b.org", "an address"),
        ("1.2.3", ""), ("4104", ""), ("a" * 32, "a hash"), ("f" * 23, ""), ("nt authority", ""),
        ("{12345678-1234-1234-1234-123456789012}", "an identifier"), ("2024-05-06", "a moment"),
        ("s-1-5-21-1-2-3-500", "an identifier"), ("s-1-5-18", ""),
    ],
)  # fmt: skip
def test_identities_are_known_by_their_form(value, told):
    assert identity_in(value) == told
