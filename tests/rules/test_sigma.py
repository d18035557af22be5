import pytest
from sigma.collection import SigmaCollection

from inoculate.domain import Fact
from inoculate.rules.sigma import Sigma
from tests.rules.described import agrees, record, rule

RECORDS = [
    record(
        ("field:Channel", "Security"), ("field:EventID", "4688"),
        ("field:NewProcessName", r"C:\Windows\cmd.exe"),
        ("field:CommandLine", r"CMD /c dir \\srv\c$\* 50%_a?"),
    ),
    record(("field:Channel", "System"), ("field:EventID", "4688"), ("field:CommandLine", "cmd")),
    record(("field:Channel", "Security"), ("field:EventID", "46880")),
    record(("field:Channel", "Security"), ("field:Group", "x'; DROP TABLE logs; --")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("clauses", "matched"),
    [
        ([[("is:EventID", "4688")]], [1, 1, 0, 0]),
        ([[("is:Channel", "security")]], [1, 0, 1, 1]),
        ([[("is:Channel", "security"), ("is:EventID", "4688")]], [1, 0, 0, 0]),
        ([[("is:Channel", "security"), ("is:EventID", "4688", False)]], [0, 0, 1, 1]),
        ([[("ends:NewProcessName", r"\cmd.exe")]], [1, 0, 0, 0]),
        ([[("has:CommandLine", "cmd /c"), ("has:CommandLine", "dir")]], [1, 0, 0, 0]),
        ([[("has:CommandLine", r"\\srv\c$\*")]], [1, 0, 0, 0]),
        ([[("has:CommandLine", r"dir \\")]], [1, 0, 0, 0]),
        ([[("has:CommandLine", "50%_a?")]], [1, 0, 0, 0]),
        ([[("has:CommandLine", "50__a?")]], [0, 0, 0, 0]),
        ([[("has:CommandLine", "d*r")]], [0, 0, 0, 0]),
        ([[("has:Group", "drop table logs; --")]], [0, 0, 0, 1]),
        ([[("has:CommandLine", "dir", False)]], [0, 1, 1, 1]),
        ([[("is:EventID", "46880")], [("is:Channel", "system")]], [0, 1, 1, 0]),
    ],
)
def test_a_rule_means_the_same_here_and_in_pysigma(clauses, matched):
    assert agrees(Sigma(), rule("windows_event", *clauses), RECORDS) == list(map(bool, matched))


def test_a_channel_that_every_clause_asks_for_becomes_the_log_source():
    made = rule("windows_event", [("is:Channel", "security"), ("is:EventID", "1")])
    (parsed,) = SigmaCollection.from_yaml(Sigma().write(made)).rules
    assert parsed.logsource.service == "security"
    assert "Channel" not in Sigma().write(made)


def test_a_rule_is_experimental_and_tells_where_it_comes_from():
    text = Sigma().write(rule("command", [("has:CommandLine", "rm -rf")]))
    (parsed,) = SigmaCollection.from_yaml(text).rules
    assert str(parsed.status) == "experimental" and "made for a test" in parsed.description
    assert text == Sigma().write(rule("command", [("has:CommandLine", "rm -rf")]))


def test_log_lines_are_matched_in_their_message():
    records = [record(("text", "Failed password for root")), record(("text", "session opened"))]
    made = rule("log_line", [("has:message", "failed password")])
    assert agrees(Sigma(), made, records) == [True, False]


def test_conditions_hold_of_the_record_that_they_were_made_of():
    for one in RECORDS:
        found = Sigma().conditions(one)
        assert found and Sigma().holds(found, [one]).all()


def test_a_name_that_no_query_can_hold_is_no_field():
    hostile = record(('field:a" TEXT); DROP', "value"), ("field:ok", "value"))
    assert Sigma().conditions(hostile) == [Fact("is:ok", "value"), Fact("has:ok", "value")]
