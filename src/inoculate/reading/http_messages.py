"""Reads HTTP requests: as they went over the wire, from HAR documents, and from access logs.

All give one frame: ``text`` (method, target and body, a blank between them), ``user_agent``,
``n_headers``, where known ``client``, ``status`` and ``timestamp``, and a record's line or number.
What names a host or a person is left out of ``text``: the host, cookies, all other headers.

References:
    RFC 9112, "HTTP/1.1", sections 2.1 and 3 (message format, request line). Departures: lines may
    end in a bare line feed; a body without Content-Length runs to the next request line, and one
    with it ends there too where a blank line came before, for editors change line ends.
    HAR 1.2, http://www.softwareishard.com/blog/har-12-spec/, objects ``entries`` and ``request``.
    Apache HTTP Server, "Log Files", common and combined log format.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from inoculate.domain import OnBad, Source, raise_bad
from inoculate.errors import RecordError
from inoculate.reading.delimited import LINE
from inoculate.reading.documents import read_document
from inoculate.reading.lines import Block, read_blocks
from inoculate.reading.text_rows import BLOCK_BYTES, MOST_ROWS, Part

MOST_BODY = 16 * 1024
"""So many bytes of a body are kept."""

MOST_HAR_BYTES = 64 * 1024 * 1024

_METHOD = re.compile(rb"[A-Z][A-Z_-]{2,19}")
_VERSION = re.compile(rb"HTTP/\d(?:\.\d)?")
_HOST = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]{0,30}://[^/?#]*")
_LOG = (
    r'^(?<client>\S{1,300}) [^\[]{0,300}\[(?<timestamp>[^\]]{1,60})\] "(?<request>(?:[^"\\]|\\.)*)"'
    r' (?<status>\d{3}|-) (?:\d+|-)(?: "(?:[^"\\]|\\.)*" "(?<user_agent>(?:[^"\\]|\\.)*)")?'
)
_LOG_TIME = "%d/%b/%Y:%H:%M:%S %z"
_SCHEMA = {
    "text": pl.String,
    "user_agent": pl.String,
    "n_headers": pl.Float64,
    "timestamp": pl.String,
    LINE: pl.Int64,
}


def is_request_line(line: bytes) -> bool:
    """Return True for a request line such as ``GET / HTTP/1.1``."""
    return _request_line(line.rstrip(b"\r")) is not None


def _request_line(line: bytes) -> tuple[bytes, bytes] | None:
    """Return method and target of a request line, None for another line."""
    if b"HTTP/" not in line[-8:]:
        return None
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    target = target.strip(b" ")
    if target and _METHOD.fullmatch(method) and _VERSION.fullmatch(version):
        return method, target
    return None


def is_log_line(line: str) -> bool:
    """Return True for a line of an access log in common or combined format."""
    # all of them hold this, and asking Polars of a single line takes a hundred times as long
    return '] "' in line and bool(pl.Series([line]).str.contains(_LOG)[0])


def request_text(method: str, target: str, body: str) -> str:
    """Return a request as a text: no host, whatever form its target has.

    Example:
        >>> request_text("POST", "http://shop.example/pay?id=1", "card=2")
        'POST /pay?id=1 card=2'
    """
    path = _HOST.sub("", target)
    target = f"/{path}" if path[:1] in ("", "?", "#") else path
    target = "" if method == "CONNECT" else target
    return " ".join(part for part in (method, target, body) if part)


@dataclass(slots=True)
class _Request:
    """One request while its lines come."""

    line: int
    method: bytes
    target: bytes
    body: list[bytes] = field(default_factory=list)
    kept: int = 0
    left: int | None = None
    user_agent: str | None = None
    n_headers: int = 0
    in_headers: bool = True
    after_blank: bool = False

    def header(self, line: bytes) -> None:
        """Take a line of the headers."""
        name, _, value = line.partition(b":")
        self.n_headers += 1
        name, value = name.strip().lower(), value.strip()
        if name == b"user-agent":
            self.user_agent = value.decode("utf-8", "replace")
        elif name == b"content-length" and value.isdigit() and len(value) < 12:
            self.left = int(value)

    def add(self, line: bytes) -> bool:
        """Take a line of the body; return True where the body is whole."""
        if self.kept < MOST_BODY:
            self.body.append(line[: MOST_BODY - self.kept])
        self.kept += len(line) + 1
        if self.left is not None:
            self.left -= len(line) + 1
        # the last line of a body has no line end
        return self.left is not None and self.left <= 0

    def row(self) -> tuple[str, str | None, float, None, int]:
        """Return the row of the frame."""
        body = b"\n".join(self.body).strip(b"\n")
        parts = (p.decode("utf-8", "replace") for p in (self.method, self.target, body))
        return request_text(*parts), self.user_agent, float(self.n_headers), None, self.line


def read_raw_requests(source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Part]:
    """Yield frames of the requests that lie one after another in a file, with bad lines."""
    reader = _RawReader(source.name)
    for block in read_blocks(source, on_bad=on_bad, block_bytes=BLOCK_BYTES):
        yield from _slices(*reader.take(block))
    yield from _slices(*reader.rest())


class _RawReader:
    """Requests out of lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: _Request | None = None
        self._rows: list[tuple[Any, ...]] = []
        self._bad: list[RecordError] = []

    def take(self, block: Block) -> tuple[list[tuple[Any, ...]], list[RecordError]]:
        """Return the requests that end in a block, and bad lines."""
        for number, line in enumerate(block.lines(), start=block.first_line):
            self._line(number, line)
        rows, bad, self._rows, self._bad = self._rows, self._bad, [], []
        return rows, bad

    def rest(self) -> tuple[list[tuple[Any, ...]], list[RecordError]]:
        """Return the last request."""
        self._end()
        return self._rows, self._bad

    def _line(self, number: int, line: bytes) -> None:
        now = self._open
        if now is None or now.in_headers or now.after_blank or now.left is None:
            first = _request_line(line)
            if first is not None:
                self._end()
                self._open = _Request(number, *first)
                return
        if now is None:
            if line.strip():
                problem = "expected a request line such as GET / HTTP/1.1"
                self._bad.append(RecordError(problem, origin=f"{self._name}:{number}"))
        elif now.in_headers:
            self._header(now, line)
        else:
            now.after_blank = not line
            if now.add(line):
                self._end()

    def _header(self, now: _Request, line: bytes) -> None:
        if line:
            now.header(line)
            return
        now.in_headers, now.after_blank = False, True
        if now.left == 0:
            self._end()

    def _end(self) -> None:
        if self._open is not None:
            self._rows.append(self._open.row())
            self._open = None


def _slices(rows: list[tuple[Any, ...]], bad: list[RecordError]) -> Iterator[Part]:
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    for some in frame.iter_slices(MOST_ROWS):
        yield some, []
    yield frame.clear(), bad


def read_har(source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Part]:
    """Yield frames of the requests of a HAR document, with bad entries.

    Raises:
        RecordError: the document is no HAR, or beyond the limits of ``read_document``.
    """
    try:
        document = read_document(source, most_bytes=MOST_HAR_BYTES)
    except RecordError as err:
        on_bad(err)
        return
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise RecordError("no HAR: log.entries is no array", origin=source.name)
    rows: list[tuple[Any, ...]] = []
    bad: list[RecordError] = []
    for number, entry in enumerate(entries, start=1):
        row = _entry(entry, number)
        if row is None:
            problem = "an entry without a request's method and URL"
            bad.append(RecordError(problem, origin=f"{source.name}#{number}"))
        else:
            rows.append(row)
    yield from _slices(rows, bad)


def _entry(entry: Any, number: int) -> tuple[Any, ...] | None:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        return None
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or not isinstance(url, str):
        return None
    posted = request.get("postData")
    body = posted.get("text") if isinstance(posted, dict) else None
    headers = request.get("headers")
    known = [h for h in headers if isinstance(h, dict)] if isinstance(headers, list) else []
    agent = next((h.get("value") for h in known if _is_agent(h)), None)
    began = entry.get("startedDateTime")
    return (
        request_text(method[:20], url, body[:MOST_BODY] if isinstance(body, str) else ""),
        agent if isinstance(agent, str) else None,
        float(len(known)) if isinstance(headers, list) else None,
        began if isinstance(began, str) else None,
        number,
    )


def _is_agent(header: dict[str, Any]) -> bool:
    name = header.get("name")
    return isinstance(name, str) and name.lower() == "user-agent"


def read_access_log(source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Part]:
    """Yield frames of the requests of an access log, with the lines that are none."""
    for block in read_blocks(source, on_bad=on_bad, block_bytes=BLOCK_BYTES):
        text = pl.Series("line", block.data.decode("utf-8", "replace").split("\n")[:-1], pl.String)
        first = block.first_line
        lines = pl.int_range(first, first + len(text), dtype=pl.Int64, eager=True).alias(LINE)
        frame = pl.DataFrame([text, lines]).filter(pl.col("line").str.strip_chars() != "")
        found = frame.select(LINE, pl.col("line").str.extract_groups(_LOG)).unnest("line")
        missing = found.filter(pl.col("request").is_null())[LINE]
        problem = "no line of an access log in common or combined format"
        bad = [RecordError(problem, origin=f"{source.name}:{n}") for n in missing]
        rows = _logged(found.filter(pl.col("request").is_not_null()))
        yield from ((some, list[RecordError]()) for some in rows.iter_slices(MOST_ROWS))
        yield rows.clear(), bad


def _logged(found: pl.DataFrame) -> pl.DataFrame:
    request = pl.col("request").str.replace_all(r"\\([\"\\])", "$1")
    target = request.str.replace(r" +HTTP/\d(?:\.\d)?$", "")
    agent = pl.col("user_agent")
    time = pl.col("timestamp").str.to_datetime(_LOG_TIME, strict=False, time_unit="us")
    return found.select(
        target.str.replace(r"^([A-Z]{3,20}) [A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "$1 ").alias(
            "text"
        ),
        pl.when(agent != "-").then(agent).alias("user_agent"),
        pl.lit(None, pl.Float64).alias("n_headers"),
        (time.dt.epoch("us") / 1e6).alias("timestamp"),
        "client",
        "status",
        LINE,
    )
