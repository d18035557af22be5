from inoculate.features.code.code_facts import facts_of
from inoculate.rule import Described
from inoculate.rules.json import Json
from tests.rules.described import agrees, rule

RECORDS = [
    Described({}, tuple(facts_of(text, "c")))
    for text in ("void f(char *s) { system(s); }", "void f(char *s) { if (ok(s)) system(s); }")
]


def test_a_rule_that_is_read_back_means_the_same():
    assert agrees(Json(), rule("code", [("call", "system")]), RECORDS) == [True, True]
    twin = rule("code", [("call", "system"), ("call", "ok", False)])
    assert agrees(Json(), twin, RECORDS) == [True, False]


def test_conditions_hold_of_the_record_that_they_were_made_of():
    for one in RECORDS:
        found = Json().conditions(one)
        assert found and Json().holds(found, [one]).all()
