"""Sessions of a text log: the lines that name one block, request or process, as one record.

A line alone may be as usual as any other, and its session still is not: a block that is received
and never written, ten failed logins and one that is accepted, a request whose steps come in another
order. A record is the lines of one session, at most 200; what a line may name is in
``features.hosts.sessions``. Lines that name nothing are taken together by a hundred, or by a minute
where they have times. A session ends when the log goes on for half an hour without it.

Formats: as ``log_lines`` reads them. Because such files are read line by line unless asked
otherwise, this format is taken by its name (``--input-format log_sessions``) or by a detector of
its kind. Encoded are kinds of lines, as the text with what varies masked, how they follow one
another, their words, their times from the first line on, and how many are new to the log, which is
not known in its first 2,000 lines. What a session is called is shown, and never encoded.

Reference:
    Xu et al., "Detecting Large-Scale System Problems by Mining Console Logs", SOSP 2009, section 4
    (counts of messages by identifier). Departures: kinds of lines are masked texts, not parsed from
    the program's source; their order counts too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import polars as pl

from inoculate.domain import Batch, Domain, OnBad, Source, View, raise_bad
from inoculate.features.hashing import hashed_view, in_views, token_grams, token_grams_in
from inoculate.features.hosts.event_fields import count_tokens, quoted
from inoculate.features.hosts.log_headers import log_likeness, times
from inoculate.features.hosts.log_masks import masked, messages, readable
from inoculate.features.hosts.session_shape import SHAPE, line_words, session_shape, template_words
from inoculate.features.hosts.sessions import Session, Sessions, session_keys, without_keys
from inoculate.reading.lines import read_blocks
from inoculate.reading.log_rows import log_rows, written_at
from inoculate.reading.text_rows import first_lines
from inoculate.task import Encoded

_WIDTHS = {"line": 128, "step": 192, "word": 192}
_ORDERS = {"line": 1, "step": 2}
VIEWS = (
    SHAPE,
    hashed_view("line", _WIDTHS["line"], "kinds of lines"),
    hashed_view("step", _WIDTHS["step"], "kinds of lines one after another"),
    hashed_view("word", _WIDTHS["word"], "words of the lines"),
)
_SCHEMA: dict[str, Any] = {
    "origin": pl.String,
    "ts": pl.Float64,
    "session": pl.String,
    "lines": pl.Int64,
    "text": pl.String,
    "templates": pl.List(pl.String),
    "after_s": pl.List(pl.Float64),
    "n_new": pl.Int64,
    "named": pl.Boolean,
    "goes_on": pl.Boolean,
}
_BATCH = 2_000
_BATCH_LINES = 50_000
_BLOCK_BYTES = 2 << 20
_MOST_TEXT = 300
_MOST_TEMPLATE = 300
_QUOTES, _QUOTED = 4, 96


class LogSessions(Domain):
    """Sessions of lines of a text log."""

    kind: ClassVar[str] = "log_session"
    unit: ClassVar[str] = "session"
    identity: ClassVar[tuple[str, ...]] = ("session", "lines", "text")
    made_of: ClassVar[str] = "log_line"

    def sniff(self, source: Source) -> float:
        """Return 0.4 where most lines begin with a time or a priority, 0.05 for other text."""
        return log_likeness(first_lines(source))

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of sessions, each when it has ended; see the base class.

        Raises:
            RecordError: through ``on_bad``, also for a line with a null byte.
        """
        sessions = Sessions()
        rows: list[dict[str, Any]] = []
        n_lines = 0
        for session in _ended(source, sessions, on_bad):
            rows.append(_row(session, sessions))
            n_lines += len(session.codes)
            if len(rows) >= _BATCH or n_lines >= _BATCH_LINES:
                yield Batch(pl.DataFrame(rows, schema=_SCHEMA))
                rows, n_lines = [], 0
        if rows:
            yield Batch(pl.DataFrame(rows, schema=_SCHEMA))

    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return ``VIEWS``."""
        return VIEWS

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the sessions as numbers.

        From the column ``templates`` (List(String)), the kind of each line by any name; and where
        they are there ``after_s``, ``named``, ``goes_on`` and ``n_new``.
        """
        templates = batch.frame["templates"].cast(pl.List(pl.String))
        out = {"shape": session_shape(batch.frame)}
        for name, order in _ORDERS.items():
            out[name] = token_grams(templates, _WIDTHS[name], orders=(order,))
        out["word"] = count_tokens(template_words(templates), _WIDTHS["word"], line_words)
        out["word"][templates.is_null().to_numpy()] = float("nan")
        return in_views(out, VIEWS, views)

    def quote(self, record: Mapping[str, Any], column: str) -> str:
        """Return up to four of the lines, steps or words that a hashed column counted."""
        view, _, number = column.rpartition("_")
        if view not in _WIDTHS or not number.isdecimal():
            return ""
        templates = [t for t in record.get("templates") or () if t is not None]
        if view == "word":
            fields = template_words(pl.Series([templates], dtype=pl.List(pl.String)))
            return quoted(fields.pairs(), int(number), _WIDTHS[view], line_words)
        how: dict[str, Any] = {"orders": (_ORDERS[view],), "between": "\n"}
        grams = token_grams_in(templates, int(number), _WIDTHS[view], **how)[:_QUOTES]
        most = _QUOTED // _ORDERS[view]
        return " ".join(f"'{' > '.join(t[:most] for t in g.split(chr(10)))}'" for g in grams)


def _ended(source: Source, sessions: Sessions, on_bad: OnBad) -> Iterator[Session]:
    latest = written_at(source)
    for block in read_blocks(source, on_bad=on_bad, block_bytes=_BLOCK_BYTES):
        frame, bad = log_rows(block, source.name)
        if frame.height:
            text = frame["text"]
            texts, which = masked(without_keys(messages(text)))
            kinds = [kind[:_MOST_TEMPLATE] for kind in readable(texts)]
            columns = (session_keys(text), frame["origin"], text, times(text, latest=latest))
            for keys, origin, line, time_s, kind in zip(*columns, which.tolist(), strict=True):
                yield from sessions.add(
                    keys.to_list(), origin, line[:_MOST_TEXT], kinds[kind], time_s
                )
        for error in bad:
            on_bad(error)
    yield from sessions.finish()


def _row(session: Session, sessions: Sessions) -> dict[str, Any]:
    first = next((t for t in session.times if t is not None), None)
    return {
        "origin": session.origin,
        "ts": first,
        "session": session.key or "lines that name nothing",
        "lines": len(session.codes),
        "text": session.text,
        "templates": [sessions.template(code) for code in session.codes],
        "after_s": [None if t is None or first is None else t - first for t in session.times],
        "n_new": session.n_new,
        "named": session.key != "",
        "goes_on": session.goes_on,
    }
