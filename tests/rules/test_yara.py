from pathlib import Path

import pytest

from inoculate.domain import Fact
from inoculate.errors import InputError
from inoculate.registry import DOMAINS
from inoculate.rule import Described
from inoculate.rules.yara import Yara
from tests.executable_maker import padded
from tests.rules.described import agrees, rule

DATA = Path(__file__).parent.parent / "data"


def whole(name, more=b""):
    """The record of a sample file with some bytes behind it."""
    data = (DATA / name).read_bytes() + padded(more)
    kind = "pe" if name.endswith("exe") else "elf"
    row = {"imports": ["kernel32:CreateFileA"], "section_names": [".text"], "data": data}
    if kind == "elf":
        row |= {"imports": [], "functions": ["printf"]}
    return Described(row, DOMAINS.load(kind)().facts(row))


PES = [whole("pe.exe", b'open "sesame"\\now'), whole("pe.exe", "wide words".encode("utf-16-le"))]
ELFS = [whole("elf.bin"), whole("elf.bin", b"/bin/busybox")]


@pytest.mark.parametrize(
    ("clauses", "matched"),
    [
        ([[("string", 'open "sesame"\\now')]], [1, 0]),
        ([[("string", "wide words")]], [0, 1]),
        ([[("import", "kernel32:CreateFileA"), ("string", "wide words", False)]], [1, 0]),
        ([[("section", ".text")]], [1, 1]),
        ([[("section", ".none")], [("string", "wide words")]], [0, 1]),
    ],
)
def test_a_rule_for_windows_files_means_the_same_here_and_in_yara_x(clauses, matched):
    assert agrees(Yara(), rule("pe", *clauses), PES) == list(map(bool, matched))


@pytest.mark.parametrize(
    ("clauses", "matched"),
    [
        ([[("symbol", "printf"), ("string", "/bin/busybox")]], [0, 1]),
        ([[("elf_section", ".dynstr"), ("string", "/bin/busybox", False)]], [1, 0]),
    ],
)
def test_a_rule_for_unix_files_means_the_same_here_and_in_yara_x(clauses, matched):
    assert agrees(Yara(), rule("elf", *clauses), ELFS) == list(map(bool, matched))


def test_conditions_hold_of_the_file_that_they_were_made_of():
    for one in (*PES, *ELFS):
        found = Yara().conditions(one)
        assert {c.kind for c in found} >= {"string"} and Yara().holds(found, [one]).all()


def test_what_yara_x_refuses_is_an_error():
    with pytest.raises(InputError, match="YARA-X refuses"):
        Yara().replay("rule x { condition: nonsense }", rule("pe", [("string", "abcdef")]), PES)


def test_a_note_of_the_rule_cannot_leave_its_quotes():
    made = rule("pe", [("string", "wide words")])
    made = type(made)(**{f: getattr(made, f) for f in made.__slots__} | {"notes": ('"}\n\\',)})
    assert Yara().replay(Yara().write(made), made, PES).matched.tolist() == [False, True]


def test_a_file_that_is_gone_is_named():
    gone = Described({"path": "/no/such/file.exe"}, (Fact("string", "abcdef"),))
    with pytest.raises(InputError, match=r"no/such/file.exe"):
        gone.data()
