"""URLs: one a line, or a column of a table.

Phishing, exploit kits and malware downloads show in how a URL is built: a host that carries a
brand in front of another name, a path of a hacked page, parameters that hide a second URL. URLs
come from proxies, mail gateways, browsers' histories and reports. None is ever resolved or
fetched.

Forms: plain lines (``#`` begins a comment), and CSV or JSON Lines with one of ``COLUMNS``. A URL
may lack its scheme. Columns of structure and words are of the host (without ``www.``, see
``features.text.name_shape``) and of what follows it, decoded where it says so.

References:
    RFC 3986, appendix B (the regular expression that splits a URL). Departures: a backslash ends
    the host, as in browsers; a scheme counts only with ``//`` after it.

    Sahingoz et al., "Machine learning based phishing detection from URLs", Expert Systems with
    Applications 117, 2019, section 3.3 (columns of words and of structure). Departures: no list
    of brands is needed; words and n-grams are hashed.
"""

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from inoculate.domain import Batch, Column, OnBad, Source, View, raise_bad
from inoculate.features.hashing import hashed_view
from inoculate.features.text.decoding import DECODING_COLUMNS, decode_texts, decoding_shape
from inoculate.features.text.name_shape import (
    NAME_COLUMNS,
    name_shape,
    split_names,
    suffix_tokens,
)
from inoculate.features.text.text_domain import HashedView, TextDomain, finished, refuse
from inoculate.features.text.text_shape import (
    GENERAL_COLUMNS,
    MOST_CHARS,
    general_shape,
    matches,
    prefixed,
)
from inoculate.reading.delimited import LINE
from inoculate.reading.text_rows import (
    TEXT,
    first_lines,
    head_cells,
    read_text_rows,
    text_form,
)
from inoculate.task import FloatArray

COLUMNS = ("url", "uri", "link", "href", "url_full", "request_url")
"""Names of a column or key that holds the URLs, the likeliest first."""

_URL = (
    r"(?s)^\s*(?:(?:(?<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30}):)?//)?(?<authority>[^/?#\\]*)"
    r"(?<path>[^?#]*)(?:\?(?<query>[^#]*))?(?:#(?<fragment>.*))?$"
)
_AUTHORITY = r"(?s)^(?:(?<user>.*)@)?(?<host>\[[^\]]*\]?|[^:]*)(?::(?<port>.*))?$"
_ADDRESS = r"^(?:(?:0x[0-9a-f]{1,8}|\d{1,10})(?:\.(?:0x[0-9a-f]{1,8}|\d{1,10})){0,3}|\[.*)$"
_LOOKS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/?#]\S*")

_CHARACTER, _FLAG = "character", "yes/no"
_PARTS = (
    Column("secure", _FLAG, "https"),
    Column("user", _FLAG, "a user name before the host"),
    Column("port", _FLAG, "a port given"),
    Column("address", _FLAG, "an IP address as host"),
    Column("www", _FLAG, "www before the host"),
    Column("path_length", _CHARACTER, "length of the path"),
    Column("query_length", _CHARACTER, "length of the query"),
    Column("fragment_length", _CHARACTER, "length of the fragment"),
    Column("longest_segment", _CHARACTER, "longest segment of the path"),
    Column("longest_value", _CHARACTER, "longest value of a parameter"),
    Column("extension_length", _CHARACTER, "length of the file name's extension"),
)
_COUNTED = (
    (Column("inner_suffixes", "1", "com, net or org inside the host:"), "stem"),
    (Column("depth", "1", "segments of the path:"), "path"),
    (Column("double_slashes", "1", "double slashes in the path:"), "path"),
    (Column("dotted", "1", "parent folders in the path:"), "path"),
    (Column("parameters", "1", "parameters:"), "query"),
    (Column("inner_urls", "1", "URLs inside it, decoded:"), "decoded"),
    (Column("at_signs", _CHARACTER, "@ after the host:"), "rest"),
    (Column("hyphens", _CHARACTER, "hyphens after the host:"), "rest"),
    (Column("underscores", _CHARACTER, "underscores after the host:"), "rest"),
    (Column("dots", _CHARACTER, "dots after the host:"), "rest"),
    (Column("equals", _CHARACTER, "equals signs after the host:"), "rest"),
)
_PATTERNS = {
    "stem": (r"(?:^|[.-])(?:com|net|org)(?:[.-]|$)",),
    "path": (r"[/\\][^/\\]", "//", r"\.\.[/\\]"),
    "query": ("[^&;]+",),
    "decoded": (r"(?:https?:/|www\.)",),
    "rest": ("@", "-", "_", r"\.", "="),
}
SHAPE = View(
    "shape",
    (
        *_PARTS,
        *(column for column, _ in _COUNTED),
        *prefixed("host", "host: ", NAME_COLUMNS),
        *prefixed("rest", "after the host: ", GENERAL_COLUMNS),
        *DECODING_COLUMNS,
    ),
)
HOST = HashedView(hashed_view("host", 128, "character sequences in the host"))
PATH = HashedView(hashed_view("path", 128, "character sequences after the host, decoded,"))
WORDS = HashedView(hashed_view("word", 128, "words after the host"), (1,), of_tokens=True)
SUFFIXES = HashedView(
    hashed_view("suffix", 64, "what the host is registered under"), (1,), of_tokens=True
)


class Urls(TextDomain):
    """URLs, however they are listed."""

    kind: ClassVar[str] = "url"
    unit: ClassVar[str] = "URL"
    shape_view: ClassVar[View] = SHAPE
    hashed: ClassVar[tuple[HashedView, ...]] = (HOST, PATH, WORDS, SUFFIXES)

    def sniff(self, source: Source) -> float:
        """Return 0.8 where nearly all first lines are URLs with a scheme."""
        form = text_form(source, COLUMNS)
        if form.kind == "plain":
            return _are_urls([t for t in first_lines(source) if not t.startswith("#")])
        # a table with a URL among many columns is a table
        return _are_urls(head_cells(source, form)) if len(form.names) <= 4 else 0.0

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of URLs; see the base class.

        Raises:
            RecordError: also for a header that cannot be split or has a name twice.
        """
        form = text_form(source, COLUMNS)
        for frame, bad in read_text_rows(source, form, on_bad=on_bad):
            if form.kind == "plain":
                frame = frame.with_columns(pl.col(TEXT).str.strip_chars(" \t\r"))
                frame = frame.filter(~pl.col(TEXT).str.starts_with("#"))
                no_url = pl.col(TEXT).str.contains(r"[\x00-\x1f]")
                problem = "no URL: it holds a control character"
                frame, worse = refuse(frame, no_url, problem, source.name, LINE)
                bad = bad + worse
            if frame.height:
                yield Batch(finished(frame, source.name, LINE))
            for error in bad:
                on_bad(error)

    def parts(self, frame: pl.DataFrame) -> tuple[FloatArray, Mapping[str, pl.Series]]:
        """Return the structure of URLs, and the letters and words of their parts."""
        url = _split(frame["text"])
        names = split_names(url["host"])
        decoded = decode_texts(url["rest"])
        small = decoded["text"].str.to_lowercase()
        words = small.str.replace_all("[0-9]+", "0").str.extract_all("[a-z]{2,24}|0")
        url = url.with_columns(names["stem"], small.alias("decoded"))
        counts = [matches(url[part], patterns) for part, patterns in _PATTERNS.items()]
        shape = np.hstack(
            [
                _structure(url),
                *counts,
                name_shape(names),
                general_shape(url["rest"]),
                decoding_shape(url["rest"], decoded),
            ]
        )
        counted = {"host": names["name"], "path": small, "word": words}
        return shape, {**counted, "suffix": suffix_tokens(names)}


def _are_urls(cells: list[str]) -> float:
    fits = sum(_LOOKS.fullmatch(c.strip()) is not None for c in cells)
    return 0.8 if cells and fits >= 0.9 * len(cells) else 0.0


def _split(texts: pl.Series) -> pl.DataFrame:
    """Return the parts of URLs; null for a part that is not there, all null for null."""
    text = texts.str.head(MOST_CHARS).alias("text").to_frame()
    url = text.select(pl.col("text").str.extract_groups(_URL)).unnest("text")
    place = url.select(pl.col("authority").str.extract_groups(_AUTHORITY)).unnest("authority")
    host = pl.col("host").str.to_lowercase()
    query = pl.concat_str(pl.lit("?"), "query").fill_null("")
    fragment = pl.concat_str(pl.lit("#"), "fragment").fill_null("")
    nothing = pl.when(pl.col("path").is_not_null()).then(pl.lit(""))
    return pl.concat([url, place], how="horizontal").with_columns(
        host.str.replace(r"^www\d?\.", "").alias("host"),
        host.str.contains(r"^www\d?\.").alias("www"),
        pl.concat_str("path", query, fragment).alias("rest"),
        pl.col("query", "fragment").fill_null(nothing),
    )


def _structure(url: pl.DataFrame) -> FloatArray:
    """Return the columns of ``_PARTS``."""
    known = pl.col("rest").is_not_null()

    def longest(pieces: pl.Expr) -> pl.Expr:
        most = pieces.list.eval(pl.element().str.len_chars()).list.max().fill_null(0)
        return pl.when(known).then(most)

    extension = pl.col("path").str.extract(r"\.([A-Za-z0-9]{1,10})$", 1).str.len_chars()
    columns = (
        pl.col("scheme").str.to_lowercase() == "https",
        pl.when(known).then(pl.col("user").is_not_null()),
        pl.when(known).then(pl.col("port").is_not_null()),
        pl.col("host").str.contains(_ADDRESS),
        pl.col("www"),
        *(pl.col(part).str.len_chars() for part in ("path", "query", "fragment")),
        longest(pl.col("path").str.split("/")),
        longest(pl.col("query").str.extract_all("=[^&;]*").list.eval(pl.element().str.slice(1))),
        pl.when(known).then(extension.fill_null(0)),
    )
    unknown = float("nan")
    found = url.select(
        c.cast(pl.Float32).fill_null(unknown).alias(str(i)) for i, c in enumerate(columns)
    )
    return found.to_numpy(order="c", writable=True).reshape(url.height, len(columns))
