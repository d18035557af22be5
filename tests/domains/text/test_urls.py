"""URLs: their parts by hand, every form, and what is encoded."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch
from inoculate.domains.text.urls import Urls
from inoculate.reading.sources import open_source

SAMPLES = Path(__file__).parents[2] / "data" / "urls"


def read(path, content=None):
    if content is not None:
        path.write_text(content)
    bad = []
    with open_source(path) as source:
        sure = Urls().sniff(source)
        batches = list(Urls().read(source, on_bad=bad.append))
    frame = pl.concat([b.frame for b in batches]) if batches else pl.DataFrame({"text": []})
    return sure, frame, [str(e).removeprefix(f"{path}:") for e in bad]


def encode(*urls):
    frame = pl.DataFrame({"text": urls}, schema={"text": pl.String})
    return Urls().encode(Batch(frame), Urls().views(Batch(frame)))


def shape(url):
    row = encode(url)["shape"][0].tolist()
    return dict(zip([c.name for c in Urls.shape_view.columns], row, strict=True))


def test_every_form_gives_urls_with_places():
    sure, frame, bad = read(SAMPLES / "list.txt")
    assert (sure, frame.height, bad) == (0.8, 10, [])
    assert frame["origin"][0] == f"{SAMPLES / 'list.txt'}:2"
    sure, frame, _ = read(SAMPLES / "table.csv")
    assert sure == 0.8 and frame["label"].to_list() == ["legitimate", "legitimate", "phishing"]


@pytest.mark.parametrize(
    "content", ["a.example\nb.example\n", "x,url\n1,/a\n2,/b\n", "a,b,c,d,url\n1,2,3,4,http://x/\n"]
)
def test_what_is_no_list_of_urls_is_left_to_others(tmp_path, content):
    assert read(tmp_path / "a", content)[0] == 0


def test_lines_with_control_characters_are_refused(tmp_path):
    _, frame, bad = read(tmp_path / "a", "http://a/ b\n# c\nhttp://\x1b[31m/\n  b.example/x \n")
    assert frame["text"].to_list() == ["http://a/ b", "b.example/x"]
    assert bad == ["3: no URL: it holds a control character"]


def test_parts_by_hand():
    x = shape("HTTPS://u:p@WWW.Shop-1.example.co.uk:8080/a/b//../x.PHP?q=1&long=%41bc&d#top")
    expected = {
        "secure": 1, "user": 1, "port": 1, "address": 0, "www": 1,
        "path_length": 14, "query_length": 16, "fragment_length": 3, "longest_segment": 5,
        "longest_value": 5, "extension_length": 3, "inner_suffixes": 0, "depth": 4,
        "double_slashes": 1, "dotted": 1, "parameters": 3, "inner_urls": 0, "at_signs": 0,
        "hyphens": 0, "underscores": 0, "dots": 3, "equals": 2,
        "host_length": 20, "host_labels": 4, "host_suffix_length": 5, "host_hyphens": 1,
        "rest_length": 35, "layers": 1, "percent_runs": 1,
    }  # fmt: skip
    assert {k: x[k] for k in expected} == expected


@pytest.mark.parametrize(
    "url, expected",
    [
        ("example.com/a", {"secure": None, "path_length": 2, "host_length": 11, "user": 0}),
        ("http://192.0.2.1/", {"secure": 0, "address": 1, "port": 0}),
        ("http://0x7f.1/", {"address": 1}),
        ("http://3232235521/", {"address": 1}),
        ("http://[2001:db8::1]:80/", {"address": 1, "port": 1}),
        ("http://1and1.example/", {"address": 0}),
        ("http://bank.com.login.example/", {"inner_suffixes": 1}),
        ("http://h\\@evil.example/", {"user": 0, "host_length": 1, "at_signs": 1}),
        ("//h/x", {"secure": None, "host_length": 1, "path_length": 2}),
        ("http://h/?u=https%3A%2F%2Fe&v=http://x", {"inner_urls": 2, "percent_runs": 1}),
        ("", {"path_length": 0, "parameters": 0, "host_length": 0, "longest_value": 0}),
    ],
)
def test_hosts_and_tricks(url, expected):
    x = shape(url)
    for name, value in expected.items():
        assert np.isnan(x[name]) if value is None else x[name] == value, name


def test_an_unknown_url_is_unknown_throughout():
    x = encode(None, "http://a.example/b")
    assert all(np.isnan(view[0]).all() for view in x.values())
    assert sum(np.isfinite(view[1]).sum() for view in x.values()) > 400


def test_the_rest_is_counted_decoded_and_in_small_letters():
    x = encode("http://h/%41dmin", "http://h/admin", "https://www.h/admin")
    for name in ("path", "word", "host", "suffix"):
        np.testing.assert_array_equal(x[name][0], x[name][1])
        np.testing.assert_array_equal(x[name][0], x[name][2])


def test_a_word_is_quoted():
    url = "http://a.example/secure/login.php?id=77"
    column = Urls.hashed[2].view.columns[int(np.flatnonzero(encode(url)["word"][0])[0])]
    words = {"'secure'", "'login'", "'php'", "'id'", "'0'"}
    assert set(Urls().quote({"text": url}, column.name).split()) <= words


def test_phishing_urls_are_longer_after_the_host(data_dir):
    frame = pl.read_parquet(data_dir / "net" / "phishing_urls.parquet", n_rows=40_000)
    at = [c.name for c in Urls.shape_view.columns].index("depth")
    some = [encode(*frame.filter(label=n)["url_noscheme"].head(2000))["shape"][:, at]
            for n in ("phishing", "legitimate")]  # fmt: skip
    assert some[0].mean() > some[1].mean()
