"""Fields of events: splitting, shapes, words and their counts, by hand and the slow way."""

import base64

import numpy as np
import polars as pl
import pytest

from inoculate.features.hashing import token_grams
from inoculate.features.hosts.event_fields import (
    count_tokens,
    field_words,
    named_field,
    quoted,
    shape_token,
    shape_tokens,
    split_fields,
    token_columns,
)

TEXTS = [
    "A=1; B=x y; C=",
    "Title 12 | A=1",
    "Script=$a = 1; $b; go; D=2",
    "no field at all; A=1",
    "",
    None,
    "A=1",
]
PAIRS = [
    [("A", "1"), ("B", "x y"), ("C", "")],
    [("A", "1")],
    [("Script", "$a = 1"), ("Script", "$b"), ("Script", "go"), ("D", "2")],
    [("", "no field at all"), ("A", "1")],
    [],
    [],
    [("A", "1")],
]


def test_texts_are_split_at_their_names():
    fields = split_fields(pl.Series(TEXTS))
    found = [[] for _ in TEXTS]
    for row, pair in zip(fields.row, fields.pairs(), strict=True):
        found[row].append(pair)
    assert found == PAIRS
    assert fields.counts().tolist() == [len(p) for p in PAIRS]


def test_nothing_at_all_has_no_field():
    for some in ([], [None], ["", None]):
        fields = split_fields(pl.Series(some, dtype=pl.String))
        assert fields.n == len(some) and len(fields.row) == 0
        assert count_tokens(fields, 8, field_words).tolist() == [[0.0] * 8] * len(some)
        assert named_field(fields, ("A",)).to_list() == [None] * len(some)


def test_counts_are_what_their_definition_says():
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 30, rng.integers(0, 9)).tolist() for _ in range(3000)]
    texts = pl.Series(["; ".join(f"N{v % 5}=w{v} w{v + 1}" for v in row) for row in rows])
    x = count_tokens(split_fields(texts), 16, field_words)
    for i in (0, 1, 1023, 1024, 1500, 2999):
        tokens = [t for v in rows[i] for t in field_words(f"N{v % 5}", f"w{v} w{v + 1}")]
        columns = token_columns(tokens, 16) if tokens else []
        expected = np.log2(1 + np.bincount(columns, minlength=16))
        np.testing.assert_allclose(x[i], expected, rtol=1e-6)


def test_columns_of_tokens_are_those_of_token_grams():
    tokens = [f"t{i}" for i in range(5000)] + ["", "é"]
    columns = token_columns(tokens, 64)
    for i in (0, 4095, 4096, 5000, 5001):
        one = token_grams(pl.Series([[tokens[i]]]), 64, orders=(1,))
        assert np.flatnonzero(one[0]).tolist() == [columns[i]]
    assert len(token_columns([], 8)) == 0


@pytest.mark.parametrize(
    "value, shape",
    [
        ("", "none"),
        ("-", "none"),
        ("True", "flag"),
        ("4242", "number"),
        ("1,024.5", "number"),
        ("0xC000006D", "hex"),
        ("{9f85ce58-59de-5f2b-2300-000000000400}", "guid"),
        ("S-1-5-18", "sid"),
        ("2020-08-06 01:17:14.818", "time"),
        ("192.0.2.7", "address"),
        ("::1", "address"),
        ("fe80::1%eth0", "address"),
        ("d41d8cd98f00b204e9800998ecf8427e", "hash"),
        ("MD5=00112233445566778899AABBCCDDEEFF,SHA1=" + "A0" * 20, "hash"),
        ("%%4416\r\n\t%%4417", "codes"),
        (r"HKLM\System\x", "registry 4 aA."),
        (r"\\srv\share", "share 4 a."),
        (r"C:\a.exe", "path 4 aA."),
        (r"\Device\x", "path 4 aA."),
        ("/usr/bin/id", "path 4 a."),
        ("https://x.example/a", "url 5 a."),
        ("XyZ4" * 8, "base64 6 aA0"),
        ("NTLM", "word 3 A"),
        ("two words", "text 4 a."),
    ],
)
def test_shapes_of_values(value, shape):
    assert shape_token("Name", value) == f"name {shape}"
    assert shape_tokens("Name", value) == [f"name {shape}"]


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("LogonType", "10", ["logontype=10"]),
        ("ProcessId", "10", []),
        ("Initiated", "true", ["initiated=true"]),
        ("TargetUserSid", "S-1-5-18", ["targetusersid=S-1-5-18"]),
        ("TargetUserSid", "S-1-5-21-1-2-3-500", []),
        ("User", r"NT AUTHORITY\SYSTEM", ["user=system"]),
        ("User", r"CORP\ann", []),
        ("TargetUserName", "ann", []),
        ("WorkstationName", "ws1", []),
        ("QueryName", "www.example.com", []),
        ("SourceIp", "192.0.2.7", []),
        ("ServiceName", "PSEXESVC", ["psexesvc", "servicename>psexesvc"]),
        ("AccessList", "%%4416\r\n\t%%4417 %%4416", ["%%4416", "%%4417"]),
        ("CommandLine", "net.exe user ann 192.0.2.7 0x12345 99999 /add",
         ["net.exe", "user", "ann", "number!", "/add"]),
        ("CommandLine", r"copy a \\srv1\C$ srv.corp.local", ["copy", "a", "srv1", "c$", "host!"]),
        ("CallTrace", r"C:\x\ntdll.dll+9d204|C:\x\a.exe+1", ["c", "x", "ntdll.dll", "a.exe",
                                                            "calltrace>a.exe"]),
        ("ObjectDN", "CN=ann,OU=x,DC=corp,DC=local", ["ou", "x", "objectdn>x"]),
        ("Info", "UserId=CORP\\ann done", ["userid", "done"]),
        ("Path", "report_20240131.docx", ["report_#.docx", "path>report_#.docx"]),
        ("x", "y" * 50, ["long!", "x>long!"]),
    ],
)  # fmt: skip
def test_words_of_values(name, value, words):
    assert field_words(name, value) == words


def test_base64_is_counted_as_such_and_by_what_it_hides():
    hidden = base64.b64encode("Invoke-Thing alpha".encode("utf-16-le")).decode()
    words = field_words("CommandLine", f"powershell -enc {hidden}")
    assert {"-enc", "base64!", "invoke-thing", "alpha"} <= set(words)
    noise = base64.b64encode(bytes(range(128, 200))).decode()
    assert field_words("CommandLine", f"x {noise}")[:2] == ["x", "base64!"]
    assert field_words("A", "GetManyThingsOfTheSystemAndOthers")[0].startswith("getmany")


def test_what_was_run_is_the_surest_of_the_named_fields():
    fields = split_fields(pl.Series(["B=1; A=2; A=3", "B=x; y", None, "C=1"]))
    assert named_field(fields, ("A", "B")).to_list() == ["2; 3", "x; y", None, None]


def test_tokens_are_quoted_where_they_fall():
    pairs = [("LogonType", "3"), ("Image", r"C:\cmd.exe")]
    tokens = [t for n, v in pairs for t in field_words(n, v)]
    for token, column in zip(tokens, token_columns(tokens, 256), strict=True):
        assert f"'{token}'" in quoted(pairs, int(column), 256, field_words)
    free = next(i for i in range(256) if i not in set(token_columns(tokens, 256)))
    assert quoted(pairs, free, 256, field_words) == ""
    assert quoted([], 0, 256, field_words) == ""
