import shutil

import pytest

from inoculate.domains.text.http_requests import HttpRequests
from inoculate.errors import InputError, MissingExtraError
from inoculate.rule import Described
from inoculate.rules.suricata import Suricata
from tests.rules.described import agrees, rule

needs_suricata = pytest.mark.skipif(shutil.which("suricata") is None, reason="no suricata here")


def request(text):
    return Described({"text": text}, HttpRequests().facts({"text": text}))


RECORDS = [
    request("GET /a/%27%20OR+1=1?x=%3Cscript%3E+b%2541"),
    request('POST /p/../q//r user=%27+or+1%3D1--+;"|:'),
    request("GET /x?q=..%2f..%5cetc"),
    request("GET /../../etc/passwd"),
]


@needs_suricata
@pytest.mark.parametrize(
    ("clauses", "matched"),
    [
        ([[("has:uri", "' or+1=1")]], [1, 0, 0, 0]),
        ([[("has:uri", "<script>+b%41")]], [1, 0, 0, 0]),
        ([[("has:target", "%3cscript")]], [1, 0, 0, 0]),
        ([[("has:uri", "/q/r")]], [0, 1, 0, 0]),
        ([[("has:target", "/../")]], [0, 1, 0, 1]),
        ([[("has:uri", "/etc/passwd")]], [0, 0, 0, 1]),
        ([[("has:body", "%27+or"), ("is:method", "post")]], [0, 1, 0, 0]),
        ([[("has:body", ';"|:')]], [0, 1, 0, 0]),
        ([[("is:method", "get"), ("has:uri", "script", False)]], [0, 0, 1, 1]),
        ([[("has:uri", "etc"), ("has:uri", "..")], [("is:method", "post")]], [0, 1, 1, 0]),
    ],
)
def test_a_rule_means_the_same_here_and_in_suricata(clauses, matched):
    assert agrees(Suricata(), rule("http_request", *clauses), RECORDS) == list(map(bool, matched))


@needs_suricata
def test_a_request_of_many_packets_is_read_whole():
    long = request(f"POST /upload a={'x' * 3_500}&end=needle")
    assert agrees(Suricata(), rule("http_request", [("has:body", "needle")]), [long]) == [True]


@needs_suricata
def test_what_suricata_refuses_is_an_error_of_one_line():
    made = rule("http_request", [("has:uri", "abc")])
    with pytest.raises(InputError, match="suricata refuses the rule"):
        Suricata().replay("alert nonsense\n", made, RECORDS)


def test_without_suricata_there_is_no_rule(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtraError, match="not on the PATH"):
        Suricata().replay("", rule("http_request", [("has:uri", "abc")]), [])


def test_conditions_hold_of_the_record_that_they_were_made_of():
    for one in RECORDS:
        found = Suricata().conditions(one)
        assert found and Suricata().holds(found, [one]).all()


def test_a_clause_is_a_line_with_a_number_of_its_own_among_the_local_ones():
    text = Suricata().write(rule("http_request", [("has:uri", "abc")], [("has:uri", "abd")]))
    alerts = [line for line in text.splitlines() if line.startswith("alert")]
    sids = {int(line.rpartition("sid:")[2].partition(";")[0]) for line in alerts}
    assert len(sids) == 2 and all(1_000_000 <= sid < 2_000_000 for sid in sids)


def test_an_absence_is_asked_only_of_what_is_always_there():
    (body,) = rule("http_request", [("has:body", "abc")]).conditions()
    (uri,) = rule("http_request", [("has:uri", "abc")]).conditions()
    assert Suricata().negates(uri) and not Suricata().negates(body)
