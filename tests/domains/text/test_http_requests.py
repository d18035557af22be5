"""HTTP requests: forms are told apart, parts by hand, and what is encoded."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch
from inoculate.domains.text.http_requests import HttpRequests
from inoculate.errors import RecordError
from inoculate.reading.sources import open_source

SAMPLES = Path(__file__).parents[2] / "data" / "http_requests"


def read(path, content=None):
    if content is not None:
        path.write_text(content)
    bad = []
    with open_source(path) as source:
        sure = HttpRequests().sniff(source)
        batches = list(HttpRequests().read(source, on_bad=bad.append))
    frame = pl.concat([b.frame for b in batches], how="diagonal") if batches else pl.DataFrame()
    return sure, frame, [str(e) for e in bad]


def encode(*texts, **columns):
    frame = pl.DataFrame({"text": texts, **columns}, schema_overrides={"text": pl.String})
    return HttpRequests().encode(Batch(frame), HttpRequests().views(Batch(frame)))


def shape(text, **columns):
    row = encode(text, **columns)["shape"][0].tolist()
    return dict(zip([c.name for c in HttpRequests.shape_view.columns], row, strict=True))


@pytest.mark.parametrize(
    "name, sure, n, first",
    [
        ("raw.txt", 1.0, 5, "GET /catalogue/list.jsp?page=2&order=price"),
        ("session.har", 1.0, 2, "GET /list?page=1"),
        ("access.log", 0.95, 5, "GET /index.html"),
        ("texts.csv", 0.8, 4, "GET /catalogue/list.jsp?page=2"),
        ("texts.jsonl", 0.8, 3, "GET /catalogue/list.jsp?page=2"),
    ],
)
def test_every_form_is_told_and_read(name, sure, n, first):
    found, frame, bad = read(SAMPLES / name)
    assert (found, frame.height, bad) == (sure, n, [])
    assert frame["text"][0] == first
    mark = "#" if name.endswith("har") else ":"
    assert frame["origin"].str.starts_with(f"{SAMPLES / name}{mark}").all()
    assert not any("shop.example" in t or "session=" in t for t in frame["text"])


def test_times_are_known_where_the_source_knows_them():
    assert read(SAMPLES / "access.log")[1]["ts"][0] == 1767319445.0
    assert read(SAMPLES / "session.har")[1]["ts"].to_list() == [1767319445.678, 1767323046.0]
    assert read(SAMPLES / "raw.txt")[1]["ts", "client"].null_count().row(0) == (5, 5)
    assert read(SAMPLES / "access.log")[1]["client"][4] == "2001:db8::5"


def test_bodies_are_read():
    texts = read(SAMPLES / "raw.txt")[1]["text"]
    assert texts[1] == "POST /login.jsp user=ann&password=rose+garden%21+"
    assert texts[4].startswith("PUT /notes/4 {") and texts[4].endswith("}")


def test_plain_lines_are_read_when_asked_for_only(tmp_path):
    sure, frame, bad = read(tmp_path / "a", "' or 1=1 --\n<b>\n\n../../x\n")
    assert sure == 0 and not bad
    assert frame["text"].to_list() == ["' or 1=1 --", "<b>", "../../x"]


@pytest.mark.parametrize("content", ["text,label\nhello,1\nyou,2\n", '{"text": "hello"}\n'])
def test_other_texts_are_left_to_others(tmp_path, content):
    sure, frame, _ = read(tmp_path / "a", content)
    assert sure == 0 and frame["text"][0] == "hello"


def test_a_har_of_another_make_is_refused(tmp_path):
    with pytest.raises(RecordError, match="no HAR"):
        read(tmp_path / "a", '{"log": {"pages": []}}')


def test_parts_by_hand():
    x = shape("POST /a/bcd/x.jsp?q=%27&r= user=ann&pw=1+2", user_agent=["A b/1"], n_headers=["7"])
    expected = {
        "get": 0, "post": 1, "other": 0, "path_length": 12, "depth": 3, "longest_segment": 5,
        "extension_length": 3, "query_length": 8, "body_length": 15, "parameters": 4,
        "longest_value": 3, "agent_length": 5, "agent_words": 2, "n_headers": 7,
        "quotes": 1, "equals": 4, "slashes": 3, "ampersands": 2, "length": 42, "layers": 1,
    }  # fmt: skip
    assert {k: x[k] for k in expected} == expected


def test_a_parameters_value_alone_has_no_path():
    x = shape("SELECT * FROM users -- %3Cb%3E ${x}")
    for name in ("get", "post", "path_length", "parameters", "agent_length", "n_headers"):
        assert np.isnan(x[name])
    expected = {"comments": 1, "angles": 2, "tags": 1, "templates": 1, "layers": 1}
    assert {k: x[k] for k in expected} == expected


def test_both_forms_are_counted():
    x = encode("GET /?a=%3Cscript%3E", "GET /?a=<script>", "GET /?a=x+y", "GET /?a=x y")
    np.testing.assert_array_equal(x["gram"][0], x["gram"][1])
    np.testing.assert_array_equal(x["token"][2], x["token"][3])
    assert (x["raw"][0] != x["raw"][1]).any()


def test_absurd_and_absent_columns_are_unknown():
    for value in ("inf", "1e300", "x", None):
        x = shape("GET /", n_headers=[value], user_agent=pl.Series([None], dtype=pl.String))
        assert np.isnan(x["n_headers"]) and np.isnan(x["agent_length"])
    x = encode(None, "")
    assert all(np.isnan(view[0]).all() for view in x.values()) and x["gram"][1].any()


def test_marks_are_quoted():
    text = "GET /?q=%27%20or%201%3D1"
    row = encode(text)["token"][0]
    names = [HttpRequests.hashed[2].view.columns[i].name for i in np.flatnonzero(row)]
    quoted = " ".join(HttpRequests().quote({"text": text}, name) for name in names)
    assert "'or'" in quoted and "'''" in quoted


def test_attacks_hold_more_marks_than_normal_values(data_dir):
    frame = pl.read_parquet(data_dir / "net" / "http_params.parquet")
    at = [c.name for c in HttpRequests.shape_view.columns].index("quotes")
    some = [encode(*frame.filter(label=n)["text"].head(1000))["shape"][:, at]
            for n in ("sqli", "norm")]  # fmt: skip
    assert some[0].mean() > some[1].mean() + 0.5
