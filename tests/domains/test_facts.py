"""What domains tell for rules: the record's own words, and who is named apart from the rest."""

import pytest

from inoculate.registry import DOMAINS


def facts(name, **record):
    return [(f.kind, f.value) for f in DOMAINS.load(name)().facts(record)]


def test_a_windows_event_tells_its_kind_its_fields_and_who():
    found = facts(
        "windows_events", channel="Security", provider="Auditing", event_id="4688",
        computer="dc01.corp.local", label="x",
        text=r"Security 4688 | Image=C:\Users\ann\a.exe; User=CORP\bob; ProcessId=0x1f4; "
        r"CommandLine=a; b --c; LogonType=3; LogonGuid={12345678-1234-1234-1234-123456789012}; "
        r"SourceAddress=10.0.0.1; SubjectUserName=SYSTEM",
    )  # fmt: skip
    assert ("field:EventID", "4688") in found and ("field:Channel", "Security") in found
    assert ("field:CommandLine", "a; b --c") in found and ("field:LogonType", "3") in found
    assert {v for k, v in found if k == "who"} >= {"dc01.corp.local", "dc01", "CORP", "bob", "ann"}
    names = {k for k, _ in found}
    assert not names & {"field:User", "field:ProcessId", "field:LogonGuid", "field:SourceAddress"}
    assert ("field:SubjectUserName", "SYSTEM") in found


def test_a_command_tells_itself_and_whose_folder_it_names():
    found = facts("commands", text=r"type C:\Users\ann\pw.txt /home/bob/x")
    assert found[0][0] == "field:CommandLine"
    assert [v for k, v in found if k == "who"] == ["ann", "bob"]


def test_a_request_tells_what_suricata_has_in_its_buffers():
    found = dict(facts("http_requests", text="GET /a//b/../c%27?x=%2541+1", user_agent="curl/8"))
    assert found == {
        "method": "GET", "target": "/a//b/../c%27?x=%2541+1", "uri": "/a/c'?x=%41+1",
        "agent": "curl/8",
    }  # fmt: skip
    assert dict(facts("http_requests", text="POST /a\nb=c d"))["body"] == "b=c d"
    assert facts("http_requests", text="' or 1=1") == [("text", "' or 1=1")]


def test_a_log_line_tells_what_is_behind_its_time_and_host():
    (told,) = facts("log_lines", text="Jan  2 03:04:05 web7 sshd[99]: Failed password for root")
    assert told[0] == "text" and "Failed password" in told[1] and "web7" not in told[1]


def test_an_executable_tells_imports_sections_and_strings_of_its_bytes():
    found = facts(
        "pe", imports=["kernel32", "kernel32:Sleep"], section_names=[".text", ""],
        functions=["Sleep"], data=b"\0open sesame\0short\0",
    )  # fmt: skip
    assert found == [
        ("import", "kernel32:Sleep"), ("section", ".text"), ("string", "open sesame"),
    ]  # fmt: skip
    assert facts("elf", functions=["open"], section_names=[".got"]) == [
        ("symbol", "open"), ("elf_section", ".got"),
    ]  # fmt: skip


def test_code_tells_facts_and_patterns():
    found = facts("source", text="void f(char *s) { system(s); }", language="c")
    assert ("call", "system") in found and ("expression", "system($A)") in found
    assert facts("source", text="x", language="cobol") == []


@pytest.mark.parametrize("name", DOMAINS.names())
def test_an_empty_or_foreign_record_tells_nothing(name):
    assert facts(name) == [] and facts(name, text=None, language=None, data=None) == []
