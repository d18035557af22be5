"""What every rule language promises, on the samples of the formats that it is for."""

from pathlib import Path

import pytest

from inoculate.errors import MissingExtraError
from inoculate.reading.sources import open_source
from inoculate.registry import DOMAINS, RULES
from inoculate.rule import MARK, Described, Rule, Term

DATA = Path(__file__).parent.parent / "data"
SAMPLES = {
    "windows_event": ("windows_events", "windows_events/mordor.json"),
    "command": ("commands", "commands/history.txt"),
    "log_line": ("log_lines", "log_lines.log"),
    "http_request": ("http_requests", "http_requests/raw.txt"),
    "pe": ("pe", "pe.exe"),
    "elf": ("elf", "elf.bin"),
    "code": ("source", "source/copy.c"),
}
CASES = [(name, kind) for name in RULES.names() for kind in sorted(RULES.load(name).kinds)]


def described(kind):
    format, path = SAMPLES[kind]
    domain = DOMAINS.load(format)()
    with open_source(DATA / path) as source:
        rows = [row for batch in domain.read(source) for row in batch.frame.iter_rows(named=True)]
    more = {"data": (DATA / path).read_bytes()} if domain.whole_files and kind != "code" else {}
    return [Described(row | more, domain.facts(row | more)) for row in rows]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_conditions_of_a_record_hold_of_it_and_are_the_same_again(name, kind):
    language, told = RULES.load(name)(), 0
    for record in described(kind):
        found = list(language.conditions(record))
        assert found == list(language.conditions(record)) and len(set(found)) == len(found)
        assert not any(MARK in c.value for c in found)
        assert language.holds(found, [record]).all()
        told += len(found)
    assert told, "no record of the sample has a condition"


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_rule_of_any_condition_is_read_by_the_tool_as_it_was_meant(name, kind):
    language, records = RULES.load(name)(), described(kind)
    conditions = sorted({c for r in records for c in language.conditions(r)})
    for condition in conditions[:: max(1, len(conditions) // 4)]:
        rule = Rule("made", "a threat", kind, ((Term(condition),),), ("a note",))
        text = language.write(rule)
        assert text.endswith("\n") and text == language.write(rule) and "a note" in text
        assert "experimental" in text
        try:
            replay = language.replay(text, rule, records)
        except MissingExtraError:
            pytest.skip(f"the tool of {name} is not installed")
        if replay is None:
            pytest.skip(f"the tool of {name} is not installed, and may lack")
        assert (replay.matched == language.holds([condition], records)[:, 0]).all(), condition


@pytest.mark.parametrize("name", RULES.names())
def test_a_language_says_how_its_files_end(name):
    assert RULES.load(name).suffix.startswith(".")
