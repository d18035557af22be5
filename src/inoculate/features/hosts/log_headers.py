"""What a log line begins with: its time, and the host a syslog header names.

Neither is part of what the line says: the time is kept beside it, the host is dropped, so that
a line means the same whoever logged it when.

Formats: RFC 3164 ("BSD syslog"), section 4.1, whose time has neither year nor zone; RFC 5424,
section 6.2; ISO 8601 / RFC 3339 with ``T`` or a blank, ``/`` for ``-``, ``.`` or ``,`` before
fractions; seconds, milli- or microseconds since 1970; Apache's ``[Sun Dec 04 04:47:44 2005]``;
the kernel's ``[   12.345678]``, which is a time since the start and so gives none.
"""

import re
import time
from collections.abc import Sequence

import polars as pl

_PRIORITY = r"<[0-9]{1,3}>"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-][0-9][0-9]:?[0-9][0-9]))"
_ISO = rf"[0-9]{{4}}[-/][0-9][0-9][-/][0-9][0-9][T ]{_CLOCK}(?:[.,][0-9]{{1,9}})?{_ZONE}?"
_BSD = rf"{_MONTH} [ 0-9][0-9] {_CLOCK}(?:\.[0-9]{{1,9}})?"
_APACHE = rf"[A-Z][a-z]{{2}} {_MONTH} [ 0-9][0-9] {_CLOCK}(?:\.[0-9]{{1,9}})? [0-9]{{4}}"
_EPOCH = r"[12][0-9]{9}(?:\.[0-9]{1,9}|[0-9]{3}|[0-9]{6})?"
_UPTIME = r"\[ *[0-9]{1,9}\.[0-9]{6}\]"
_AFTER = r"[\])]?(?:[ \t,;|:-]+|$)"

HEADER = (
    rf"^(?:{_PRIORITY}[0-9]{{1,2}} (?:{_ISO}|-) \S+ "
    rf"|(?:{_PRIORITY})?{_BSD} \S+ "
    rf"|(?:{_PRIORITY})?[\[(]?(?:{_ISO}|{_APACHE}|{_EPOCH}){_AFTER}"
    rf"|(?:{_PRIORITY})?{_UPTIME} ?|{_PRIORITY})"
)
"""What a line begins with that is no part of its message (a regular expression)."""

_HOST = r"^[A-Za-z0-9_.-]+ [A-Za-z0-9_./()@-]+\[[0-9]+\]: "
_LEAD = rf"^(?:{_PRIORITY}(?:[0-9]{{1,2}} )?)?[\[(]?"
_SEPARATORS = ",;\t|"
_LONGEST = 80
_LATEST_S = 253_402_300_799.0  # of year 9999


def without_header(lines: pl.Series) -> pl.Series:
    """Return the messages of lines: without time, priority and a syslog header's host.

    Where an ISO time is followed by ``host program[pid]:`` the host goes too.
    """
    messages = lines.str.replace(HEADER, "")
    shorter = messages.str.len_bytes() < lines.str.len_bytes()
    hosted = shorter & messages.str.contains(_HOST)
    if not hosted.any():
        return messages
    return messages.zip_with(~hosted.fill_null(False), messages.str.replace(r"^\S+ ", ""))


def times(lines: pl.Series, *, latest: float | None = None) -> pl.Series:
    """Return the time each line begins with, seconds since 1970; null where there is none.

    A time without zone is taken for UTC. One without year (RFC 3164) is put in the last year
    in which it is not after ``latest``.

    Args:
        lines: (n,) String.
        latest: when the last line was written, seconds since 1970; now by default.
    """
    starts = lines.str.slice(0, _LONGEST)
    latest = time.time() if latest is None else min(max(latest, 0.0), _LATEST_S)
    found = pl.Series("ts", [None] * len(lines), pl.Float64)
    for form, read in ((_ISO, _of_iso), (_BSD, None), (_EPOCH, _of_epoch), (_APACHE, _of_apache)):
        if found.null_count() == lines.null_count():
            break
        text = starts.str.extract(f"{_LEAD}({form})(?:[^0-9]|$)")
        if text.null_count() < len(text):
            found = found.fill_null(_of_bsd(text, latest) if read is None else read(text))
    return found.alias("ts")


def _of_iso(text: pl.Series) -> pl.Series:
    clock = text.str.extract(rf"({_CLOCK})", 1)
    day = text.str.slice(0, 10).str.replace_all("/", "-", literal=True)
    zone = text.str.extract(r"([+-]\d\d:?\d\d)$").str.replace(":", "", literal=True)
    minutes = zone.str.slice(1, 2).cast(pl.Float64) * 60 + zone.str.slice(3, 2).cast(pl.Float64)
    ahead = minutes * zone.str.starts_with("-").cast(pl.Float64) * -2 + minutes
    return _seconds(day + " " + clock, "%Y-%m-%d %H:%M:%S", text) - ahead.fill_null(0) * 60


def _of_apache(text: pl.Series) -> pl.Series:
    stamp = text.str.slice(4, 15) + " " + text.str.tail(4)
    return _seconds(stamp, "%b %e %H:%M:%S %Y", text)


def _of_bsd(text: pl.Series, latest: float) -> pl.Series:
    year = time.gmtime(latest).tm_year
    stamp = text.str.slice(0, 15)
    found = _seconds(f"{year} " + stamp, "%Y %b %e %H:%M:%S", text)
    # a clock or a zone may be a day off; 29 February may not be in this year
    other = ((found > latest + 86_400) | found.is_null()).fill_null(True) & text.is_not_null()
    if not other.any():
        return found
    last = _seconds(f"{year - 1} " + stamp, "%Y %b %e %H:%M:%S", text)
    return last.zip_with(other, found).fill_null(found)


def _of_epoch(text: pl.Series) -> pl.Series:
    number = text.cast(pl.Float64)
    unit = text.str.len_bytes().cast(pl.Int64)
    whole = ~text.str.contains(".", literal=True)
    scale = pl.select(
        pl.when(whole & (unit == 13)).then(1e3).when(whole & (unit == 16)).then(1e6).otherwise(1.0)
    ).to_series()
    return number / scale


def _seconds(stamp: pl.Series, form: str, text: pl.Series) -> pl.Series:
    """Return seconds of times in one form, with the fraction that their text has."""
    whole = stamp.str.to_datetime(form, strict=False, time_unit="us").dt.epoch("s")
    if not text.str.contains(r"[.,]").any():
        return whole.cast(pl.Float64)
    fraction = text.str.extract(rf"{_CLOCK}[.,](\d{{1,9}})")
    return whole.cast(pl.Float64) + ("0." + fraction).cast(pl.Float64).fill_null(0.0)


def log_likeness(lines: Sequence[str]) -> float:
    """Return 0.4 where most lines begin with a time or a priority, 0.05 for other text, else 0.

    Args:
        lines: the first of a source, whole ones.
    """
    text = "".join(lines[:50])
    strange = sum(c == "\ufffd" or (c < " " and c not in "\t\r\x1b") for c in text)
    if not lines or "\0" in text or strange > 0.05 * len(text) or lines[0].startswith(("{", "[{")):
        return 0.0
    dated = sum(_HEADER.match(line) is not None for line in lines)
    if 2 * dated <= len(lines):
        return 0.05
    return 0.05 if _is_table(lines) else 0.4


def _is_table(lines: Sequence[str]) -> bool:
    """Return True where the first line has no time, and no more separators than most others."""
    if _HEADER.match(lines[0]):
        return False
    separator = max(_SEPARATORS, key=lines[0].count)
    n, some = lines[0].count(separator), lines[1:21]
    return n > 0 and sum(line.count(separator) >= n for line in some) * 2 >= len(some)


_HEADER = re.compile(HEADER)
