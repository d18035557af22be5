"""HTTP requests: raw, from HAR documents or access logs, or texts of a table.

Attacks on web applications (SQL injection, scripts, path traversal, templates, commands) are in
the method, the path, the parameters and the body, often wrapped in several encodings. Only those
are read: never the host, a cookie or another header; of the user agent only length and words.

Forms, told apart by the first lines: raw requests one after another; HAR, as browsers and proxies
export it; access logs in common or combined format; CSV or JSON Lines with a column ``text``.
Where nothing of this fits, and this format was asked for by name, each line is one text, say a
parameter's value. ``text`` is method, target and body with a blank between them; texts that do
not begin like that have unknown columns of path and parameters.

Reference:
    Giménez, Pérez-Villegas and Álvarez Marañón, "HTTP data set CSIC 2010", CSIC, 2010, for what
    normal and anomalous requests of one application look like.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

import numpy as np
import polars as pl

from inoculate.domain import Batch, Column, Fact, OnBad, Source, View, raise_bad
from inoculate.features.hashing import hashed_view
from inoculate.features.text.decoding import DECODING_COLUMNS, decode_texts, decoding_shape
from inoculate.features.text.text_domain import HashedView, TextDomain, finished, with_client
from inoculate.features.text.text_shape import GENERAL_COLUMNS, MOST_CHARS, general_shape, matches
from inoculate.reading.delimited import LINE
from inoculate.reading.http_messages import (
    is_log_line,
    is_request_line,
    read_access_log,
    read_har,
    read_raw_requests,
)
from inoculate.reading.text_rows import (
    TextForm,
    first_lines,
    head_cells,
    read_text_rows,
    text_form,
)
from inoculate.task import FloatArray

COLUMNS = ("text", "request", "payload", "http_request")
"""Names of a column or key that holds the texts, the likeliest first."""

_HAR = re.compile(rb'^\s*\{\s*"log"\s*:\s*\{')
_REQUEST = (
    r"(?s)^(?<method>[A-Z][A-Z_-]{2,19}) (?<path>/[^?\s]*)(?:\?(?<query>\S*))?"
    r"(?:\s(?<body>.*))?$"
)
_TEXT = re.compile(r"[A-Z]{3,20} /\S*.*", re.DOTALL)

_CHARACTER, _FLAG = "character", "yes/no"
_PARTS = (
    Column("get", _FLAG, "the method is GET"),
    Column("post", _FLAG, "the method is POST"),
    Column("other", _FLAG, "the method is neither GET nor POST"),
    Column("path_length", _CHARACTER, "length of the path"),
    Column("depth", "1", "segments of the path:"),
    Column("longest_segment", _CHARACTER, "longest segment of the path"),
    Column("extension_length", _CHARACTER, "length of the file name's extension"),
    Column("query_length", _CHARACTER, "length of the query"),
    Column("body_length", _CHARACTER, "length of the body"),
    Column("parameters", "1", "parameters:"),
    Column("longest_value", _CHARACTER, "longest value of a parameter"),
    Column("agent_length", _CHARACTER, "length of the user agent"),
    Column("agent_words", "word", "words of the user agent:"),
    Column("n_headers", "1", "headers:"),
)
_COUNTED = {
    "quotes": ("quotes", r"['\u2019`]"),
    "double_quotes": ("double quotes", '"'),
    "angles": ("angle brackets", "[<>]"),
    "parentheses": ("parentheses", "[()]"),
    "brackets": ("square brackets", r"[\[\]]"),
    "braces": ("braces", "[{}]"),
    "semicolons": ("semicolons", ";"),
    "pipes": ("pipes", r"\|"),
    "ampersands": ("ampersands", "&"),
    "dollars": ("dollar signs", r"\$"),
    "equals": ("equals signs", "="),
    "slashes": ("slashes", "/"),
    "backslashes": ("backslashes", r"\\"),
    "colons": ("colons", ":"),
    "commas": ("commas", ","),
    "percents": ("percent signs left", "%"),
    "parents": ("parent folders", r"\.\.[/\\]"),
    "comments": ("comment marks", r"--|/\*|\*/|#"),
    "inner_urls": ("URLs inside it", "[a-z]{3,10}:/"),
    "nulls": ("null characters", r"\x00"),
    "line_breaks": ("line breaks", "[\r\n]"),
    "tags": ("tags", r"<[a-z!/?%]"),
    "templates": ("template marks", r"\$\{|\{\{|<%|#\{"),
    "calls": ("names before a parenthesis", r"[a-z_]\("),
}
SHAPE = View(
    "shape",
    (
        *_PARTS,
        *(
            Column(name, _CHARACTER if len(about.split()) == 1 else "1", f"{about}, decoded:")
            for name, (about, _) in _COUNTED.items()
        ),
        *(c for c in GENERAL_COLUMNS),
        *DECODING_COLUMNS,
    ),
)
GRAMS = HashedView(hashed_view("gram", 256, "character sequences, decoded,"))
RAW = HashedView(hashed_view("raw", 128, "character sequences as sent"))
TOKENS = HashedView(hashed_view("token", 128, "words and marks, decoded,"), (1,), of_tokens=True)


class HttpRequests(TextDomain):
    """Requests, raw or logged."""

    kind: ClassVar[str] = "http_request"
    unit: ClassVar[str] = "request"
    identity: ClassVar[tuple[str, ...]] = ("text", "client")
    shape_view: ClassVar[View] = SHAPE
    hashed: ClassVar[tuple[HashedView, ...]] = (GRAMS, RAW, TOKENS)

    def sniff(self, source: Source) -> float:
        """Return 1 for a raw request or HAR, 0.95 for an access log, 0.8 for texts of requests."""
        form = _form(source)
        if form in ("raw", "har"):
            return 1.0
        if form == "log":
            return 0.95
        if isinstance(form, str) or len(form.names) > 8:
            return 0.0
        cells = head_cells(source, form)
        fits = sum(_TEXT.fullmatch(c) is not None for c in cells)
        return 0.8 if cells and fits >= 0.8 * len(cells) else 0.0

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of requests; see the base class.

        Raises:
            RecordError: also for a header that cannot be split or has a name twice, and for a
                document that is no HAR.
        """
        form = _form(source)
        if isinstance(form, TextForm):
            parts = read_text_rows(source, form, on_bad=on_bad)
        else:
            read = {"raw": read_raw_requests, "har": read_har, "log": read_access_log}[form]
            parts = read(source, on_bad=on_bad)
        for frame, bad in parts:
            if frame.height:
                mark = "#" if form == "har" else ":"
                yield Batch(with_client(finished(frame, source.name, LINE, mark=mark)))
            for error in bad:
                on_bad(error)

    def parts(self, frame: pl.DataFrame) -> tuple[FloatArray, Mapping[str, pl.Series]]:
        """Return the structure of requests, their letters as sent and decoded, and their words."""
        texts = frame["text"]
        request = texts.str.head(MOST_CHARS).alias("text").to_frame()
        request = request.select(pl.col("text").str.extract_groups(_REQUEST)).unnest("text")
        decoded = decode_texts(texts, plus=request["method"].is_not_null())
        small = decoded["text"].str.to_lowercase()
        words = small.str.replace_all("[0-9]+", "0").str.extract_all(r"[a-z_]{1,24}|0|[^\sa-z0_]")
        shape = np.hstack(
            [
                _structure(request, frame),
                matches(small, tuple(pattern for _, pattern in _COUNTED.values())),
                general_shape(texts),
                decoding_shape(texts, decoded),
            ]
        )
        return shape, {"gram": small, "raw": texts, "token": words}

    def facts(self, record: Mapping[str, Any]) -> tuple[Fact, ...]:
        """Return method, ``target`` and ``body`` as sent, ``uri`` decoded once, and the agent.

        A text that is no request has ``text`` alone.
        """
        text = str(record.get("text") or "")[:MOST_CHARS]
        request = _TEXT.fullmatch(text)
        if request is None:
            return (Fact("text", text),) if text else ()
        method, target, body = (*text.split(maxsplit=2), "")[:3]
        found = [Fact("method", method), Fact("target", target), Fact("uri", _normal(target))]
        agent = str(record.get("user_agent") or "")
        found += [Fact(kind, value) for kind, value in (("body", body), ("agent", agent)) if value]
        return tuple(found)


def _normal(target: str) -> str:
    """Return a target decoded once, its path without ``.``, ``..`` and empty segments."""
    path, mark, query = target.partition("?")
    kept: list[str] = []
    *folders, last = unquote(path, "latin-1").split("/")
    for part in folders:
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/" + "/".join([*kept, last]) + mark + unquote(query, "latin-1")


def _form(source: Source) -> str | TextForm:
    """Return ``raw``, ``har``, ``log``, or how texts are held."""
    if _HAR.match(source.head.removeprefix(b"\xef\xbb\xbf")):
        return "har"
    lines = first_lines(source, 20)
    if lines and is_request_line(lines[0].encode()):
        return "raw"
    form = text_form(source, COLUMNS)
    if form.kind == "plain" and sum(map(is_log_line, lines)) * 2 > len(lines):
        return "log"
    return form


def _structure(request: pl.DataFrame, frame: pl.DataFrame) -> FloatArray:
    """Return the columns of ``_PARTS``."""
    request = request.with_columns(
        frame[name].cast(kind, strict=False)
        if name in frame.columns
        else pl.lit(None, kind).alias(name)
        for name, kind in (("user_agent", pl.String), ("n_headers", pl.Float64))
    )
    known = pl.col("method").is_not_null()
    nothing = pl.when(known).then(pl.lit(""))
    request = request.with_columns(pl.col("query", "body").fill_null(nothing))
    sent = pl.concat_str("query", pl.lit("&"), "body")
    values = sent.str.extract_all("=[^&]*").list.eval(pl.element().str.len_chars() - 1)
    segments = pl.col("path").str.split("/").list.eval(pl.element().str.len_chars())
    extension = pl.col("path").str.extract(r"\.([A-Za-z0-9]{1,10})$", 1).str.len_chars()
    columns = (
        pl.col("method") == "GET",
        pl.col("method") == "POST",
        ~pl.col("method").is_in(["GET", "POST"]),
        pl.col("path").str.len_chars(),
        pl.col("path").str.count_matches("/[^/]"),
        segments.list.max(),
        pl.when(known).then(extension.fill_null(0)),
        pl.col("query").str.len_chars(),
        pl.col("body").str.len_chars(),
        sent.str.count_matches("[^&]+"),
        pl.when(known).then(values.list.max().fill_null(0)),
        pl.col("user_agent").str.len_chars(),
        pl.col("user_agent").str.count_matches(r"\S+"),
        pl.col("n_headers"),
    )
    found = request.select(c.cast(pl.Float32).alias(str(i)) for i, c in enumerate(columns))
    # a table of one's own may say that there are infinitely many headers
    finite = found.select(pl.when(pl.all().is_finite()).then(pl.all()).otherwise(float("nan")))
    return finite.to_numpy(order="c", writable=True).reshape(request.height, len(columns))
