"""Requests out of raw traffic, HAR and access logs."""

import json

import pytest

from inoculate.errors import RecordError
from inoculate.reading.delimited import LINE
from inoculate.reading.http_messages import (
    MOST_BODY,
    is_log_line,
    is_request_line,
    read_access_log,
    read_har,
    read_raw_requests,
    request_text,
)
from inoculate.reading.sources import open_source

GET = "GET /a?b=1 HTTP/1.1\nHost: h\nUser-Agent: X y\nCookie: secret\n\n"


def read(reader, path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows, bad = [], []
    with open_source(path) as source:
        for frame, errors in reader(source, on_bad=bad.append):
            rows += frame.to_dicts()
            bad += errors
    return rows, [str(e).removeprefix(str(path)) for e in bad]


def texts(path, content):
    rows, bad = read(read_raw_requests, path, content)
    return [r["text"] for r in rows], bad


@pytest.mark.parametrize(
    "method, target, body, text",
    [
        ("GET", "/a", "", "GET /a"),
        ("GET", "https://u:p@h:1/a?b#c", "", "GET /a?b#c"),
        ("GET", "http://h", "", "GET /"),
        ("GET", "http://h?x=http://i/j", "", "GET /?x=http://i/j"),
        ("POST", "/a", "b\nc", "POST /a b\nc"),
        ("CONNECT", "h:443", "", "CONNECT"),
        ("OPTIONS", "*", "", "OPTIONS *"),
    ],
)
def test_the_text_of_a_request_has_no_host(method, target, body, text):
    assert request_text(method, target, body) == text


def test_requests_follow_one_another(tmp_path):
    post = "POST /p HTTP/1.1\nContent-Length: 7\n\nx=1&y=2\n"
    rows, bad = read(read_raw_requests, tmp_path / "a", GET + GET + post + GET)
    assert [r["text"] for r in rows] == ["GET /a?b=1"] * 2 + ["POST /p x=1&y=2", "GET /a?b=1"]
    assert [r[LINE] for r in rows] == [1, 6, 11, 15] and not bad
    assert rows[0]["user_agent"] == "X y" and rows[0]["n_headers"] == 3
    assert rows[2]["user_agent"] is None and not any("secret" in str(r) for r in rows)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("length", ["", "Content-Length: {}\n"])
def test_a_body_of_several_lines(tmp_path, end, length):
    body = "a=1\n\nb=2\nc=3"
    size = length.format(len(body.replace("\n", end)))
    raw = f"POST /p HTTP/1.1\n{size}\n{body}\n\n{GET}".replace("\n", end)
    found, bad = texts(tmp_path / "a", raw)
    assert found == [f"POST /p {body}", "GET /a?b=1"] and not bad


def test_a_request_inside_a_body_of_known_length_is_body(tmp_path):
    inner = "x=1\nGET /inner HTTP/1.1"
    raw = f"POST /p HTTP/1.1\nContent-Length: {len(inner)}\n\n{inner}\n{GET}"
    assert texts(tmp_path / "a", raw)[0] == [f"POST /p {inner}", "GET /a?b=1"]


def test_a_wrong_length_does_not_swallow_the_next_request(tmp_path):
    raw = f"POST /p HTTP/1.1\nContent-Length: 99999\n\nx=1\n\n{GET}"
    assert texts(tmp_path / "a", raw)[0] == ["POST /p x=1", "GET /a?b=1"]


def test_lines_outside_a_request_are_named(tmp_path):
    found, bad = texts(tmp_path / "a", f"junk\nPOST / HTTP/1.1\nContent-Length: 0\n\nmore\n{GET}")
    assert found == ["POST /", "GET /a?b=1"]
    assert [b.split(":")[1] for b in bad] == ["1", "5"]
    assert "expected a request line" in bad[0]


def test_odd_request_lines_and_headers(tmp_path):
    raw = "GET /a b' or 1=1 HTTP/1.1\nno colon\n: \nContent-Length: x\n\nGET  /c  HTTP/2\n"
    assert texts(tmp_path / "a", raw) == (["GET /a b' or 1=1", "GET /c"], [])


def test_a_long_body_is_kept_in_part(tmp_path):
    raw = "POST /p HTTP/1.1\n\n" + ("y" * 1_000 + "\n") * 100
    (text,), _ = texts(tmp_path / "a", raw)
    assert MOST_BODY - 1_100 < len(text) < MOST_BODY + 100


def test_what_is_a_request_line():
    assert is_request_line(b"GET / HTTP/1.1\r") and is_request_line(b"PROPFIND /x HTTP/2")
    for line in (b"GET /", b"get / HTTP/1.1", b"HTTP/1.1 200 OK", b"GET / HTTP/1.1 x", b""):
        assert not is_request_line(line)


def har(*entries):
    return json.dumps({"log": {"version": "1.2", "entries": list(entries)}})


def entry(**request):
    return {"request": {"method": "GET", "url": "https://h/a", **request}}


def test_entries_of_a_har(tmp_path):
    agent = {"name": "user-agent", "value": "X"}
    posted = {"method": "POST", "postData": {"text": "q=1"}, "headers": [agent, 3, {"name": 4}]}
    rows, bad = read(
        read_har,
        tmp_path / "a",
        har(entry(), 7, entry(**posted), {"request": {}}, entry(headers="x", postData=[])),
    )
    assert [(r["text"], r[LINE]) for r in rows] == [
        ("GET /a", 1),
        ("POST /a q=1", 3),
        ("GET /a", 5),
    ]
    assert (rows[1]["user_agent"], rows[1]["n_headers"]) == ("X", 2)
    assert rows[0]["n_headers"] is None
    assert bad == [f"#{n}: an entry without a request's method and URL" for n in (2, 4)]


@pytest.mark.parametrize(
    "document", ['{"log": {}}', "[]", '{"log": {"entries": {}}}', '{"log": 1}']
)
def test_a_document_that_is_no_har_is_refused(tmp_path, document):
    with pytest.raises(RecordError, match="no HAR"):
        read(read_har, tmp_path / "a", document)


def test_damaged_json_is_one_bad_record(tmp_path):
    rows, (problem,) = read(read_har, tmp_path / "a", har(entry())[:-5])
    assert not rows and "not JSON" in problem


LINES = {
    '1.2.3.4 - - [02/Jan/2026:03:04:05 +0100] "GET /a HTTP/1.1" 200 5': (
        "GET /a", None, "200", 1767319445.0),
    'h:80 1.2.3.4 - a b [02/Jan/2026:03:04:05 +0000] "POST / HTTP/1.1" 302 - "-" "X"': (
        "POST /", "X", "302", 1767323045.0),
    '::1 - - [x] "GET http://u@h/a?b=\\"c\\" HTTP/1.0" 404 1 "r" "-"': (
        'GET /a?b="c"', None, "404", None),
    '1.2.3.4 - - [x] "\\x16\\x03" 400 0': ("\\x16\\x03", None, "400", None),
    '1.2.3.4 - - [x] "" 408 0': ("", None, "408", None),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_lines_of_an_access_log(tmp_path, line):
    (row,), bad = read(read_access_log, tmp_path / "a", line + "\n")
    assert (row["text"], row["user_agent"], row["status"], row["timestamp"]) == LINES[line]
    assert not bad and is_log_line(line)


def test_other_lines_are_named(tmp_path):
    good = next(iter(LINES))
    rows, (bad,) = read(read_access_log, tmp_path / "a", f"{good}\n\nnothing\n{good}\n")
    assert [r[LINE] for r in rows] == [1, 4]
    assert bad == ":3: no line of an access log in common or combined format"
    assert not is_log_line("nothing")
