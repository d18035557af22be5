"""Domain names: every form, the lines that are refused, and what is encoded."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch
from inoculate.domains.text.domain_names import DomainNames
from inoculate.errors import RecordError
from inoculate.reading.sources import open_source

DATA = Path(__file__).parents[2] / "data"
SAMPLES = DATA / "domain_names"


def read(path, content=None, *, skip=True):
    if content is not None:
        path.write_text(content)
    bad = []
    with open_source(path) as source:
        domain = DomainNames()
        sure = domain.sniff(source)
        batches = list(domain.read(source, **({"on_bad": bad.append} if skip else {})))
    frame = pl.concat([b.frame for b in batches]) if batches else pl.DataFrame({"text": []})
    return sure, frame, [str(e).removeprefix(f"{path}:") for e in bad]


def encode(*names):
    frame = pl.DataFrame({"text": names}, schema={"text": pl.String})
    domain = DomainNames()
    return domain.encode(Batch(frame), domain.views(Batch(frame)))


def test_every_form_gives_names_with_places():
    sure, frame, bad = read(SAMPLES / "list.txt")
    assert (sure, frame.height, bad) == (0.6, 12, [])
    assert frame["origin"][0] == f"{SAMPLES / 'list.txt'}:2"
    sure, frame, _ = read(SAMPLES / "table.csv")
    assert sure == 0.6 and frame["label"].to_list() == ["benign", "benign", "dga", "dga"]
    sure, frame, bad = read(SAMPLES / "dns.log")
    assert (sure, frame.height, bad) == (1.0, 3, [])
    assert frame["origin"].str.split(":").list.last().to_list() == ["9", "10", "12"]
    assert frame["ts"][1] == 1767322801.25 and frame["rcode_name"][1] == "NXDOMAIN"
    sure, frame, bad = read(SAMPLES / "dns.json")
    assert (sure, frame.height, bad) == (0.9, 2, []) and frame["ts"][0] == 1767322800.5


@pytest.mark.parametrize(
    "content",
    [
        "just some words\nand more\n",
        "http://a.example/b\nhttp://b.example/c\n",
        "192.0.2.1\n192.0.2.2\n",
        "ts,host,bytes,label\n1,a.example,2,x\n",
        "host,bytes\n10.0.0.1,5\n",
        "#fields\tts\tid.orig_h\n1\t2\n",
        '{"host": "a b", "x": 1}\n',
    ],
)
def test_what_is_no_list_of_names_is_left_to_others(tmp_path, content):
    assert read(tmp_path / "a", content)[0] == 0


def test_lines_that_are_no_names_are_named(tmp_path):
    text = (
        f"# c\na.example\nb c.example\n  d.example \n{'x' * 300}\nhttp://e/\n\x1b[31mred.example\n"
    )
    _, frame, bad = read(tmp_path / "a", text)
    assert frame["text"].to_list() == ["a.example", "d.example"]
    assert sorted(bad) == [
        "3: no domain name",
        "5: a name longer than 255 characters",
        "6: no domain name",
        "7: no domain name",
    ]
    with pytest.raises(RecordError, match="a:3: no domain name"):
        read(tmp_path / "a", skip=False)


def test_names_of_a_log_may_hold_anything(tmp_path):
    _, frame, bad = read(
        tmp_path / "a", '{"query": "My Printer (2)._ipp._tcp.local"}\n{"query": null}\n'
    )
    assert frame["text"].to_list() == ["My Printer (2)._ipp._tcp.local"] and not bad


def test_a_name_is_the_same_in_capitals_and_with_a_dot():
    x = encode("WWW.Example.Com.", "www.example.com")
    for view in x.values():
        np.testing.assert_array_equal(view[0], view[1])


def test_letters_are_counted_without_what_it_is_registered_under():
    x = encode("abc.com", "abc.net", "abd.com", None)
    np.testing.assert_array_equal(x["gram"][0], x["gram"][1])
    assert (x["gram"][0] != x["gram"][2]).any() and (x["suffix"][0] != x["suffix"][1]).any()
    assert all(np.isnan(view[3]).all() for view in x.values())


def test_random_letters_look_less_like_english():
    x = encode("weatherstation.com", "xkqzwjvbtrpl.com")["shape"]
    columns = [c.name for c in DomainNames.shape_view.columns]
    assert x[0, columns.index("common_pairs")] > x[1, columns.index("common_pairs")]
    assert x[0, columns.index("longest_consonants")] < x[1, columns.index("longest_consonants")]


def test_generated_names_are_told_from_real_ones(data_dir):
    frame = pl.read_parquet(data_dir / "net" / "dga_dev.parquet").select("label", text="domain")
    columns = [c.name for c in DomainNames.shape_view.columns]
    at = columns.index("common_pairs")
    real = encode(*frame.filter(label="benign")["text"].head(2000))["shape"][:, at]
    made = encode(*frame.filter(label="qakbot")["text"])["shape"][:, at]
    assert np.nanmean(real) > np.nanmean(made) + 0.1
