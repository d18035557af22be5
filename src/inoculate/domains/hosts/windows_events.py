"""Windows events: EVTX files, and JSON Lines of Winlogbeat, NXLog or an EVTX dump.

An analyst has them from every Windows host: what was run, who logged on, which service or task
was made. A record is one event, with its channel, provider and number, and its data fields as
``Name=value; Name=value`` in the column ``text``. Where examples carry an ATT&CK technique in a
key ``label``, ``--label label`` makes each technique a threat, and findings are named by it.

Formats: EVTX (https://github.com/libyal/libevtx) through the package ``evtx``. JSON Lines: ECS of
Winlogbeat (``winlog.channel``, ``winlog.event_id``, ``winlog.event_data`` ..., nested or dotted;
also its old names), the flat keys of NXLog as in the Mordor data sets (``EventID``, ``Channel``,
``SourceName`` beside the data fields), and ``Event.System`` with ``Event.EventData``.

What names a host, user, address, process or moment is shown and never encoded; see
``features.hosts.event_fields``. Of an event 256 fields and 32,768 characters count.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from inoculate.domain import Batch, Column, Domain, Fact, OnBad, Source, View, raise_bad
from inoculate.errors import RecordError
from inoculate.features.flows.flow_text import seconds
from inoculate.features.hashing import hashed_view, in_views, token_grams
from inoculate.features.hosts.command_shape import COMMAND_COLUMNS, command_shape
from inoculate.features.hosts.event_fields import (
    count_tokens,
    field_words,
    named_field,
    quoted,
    shape_tokens,
    split_fields,
    told_fields,
)
from inoculate.reading.windows_event import COMMANDS, Event, event_of
from inoculate.reading.windows_log import event_objects, sniff_events
from inoculate.task import Encoded, FloatArray

_WIDTHS = {"event": 64, "field": 128, "word": 256}
SHAPE = View(
    "shape",
    (
        Column("n_fields", "field", "number of data fields"),
        Column("text_length", "log2(1+n)", "length of the event's data"),
        *COMMAND_COLUMNS,
    ),
)
VIEWS = (
    SHAPE,
    hashed_view("event", _WIDTHS["event"], "kind of event"),
    hashed_view("field", _WIDTHS["field"], "data fields and the shape of their values"),
    hashed_view("word", _WIDTHS["word"], "words of the event's data"),
)
_RULE_FIELDS = {"Channel": "channel", "Provider_Name": "provider", "EventID": "event_id"}
_USER_FOLDER = re.compile(r"(?i)\\users\\([^\\\"]{1,60})\\")
_BATCH = 10_000
_SCHEMA: dict[str, Any] = {"origin": pl.String} | {name: pl.String for name in Event._fields}


class WindowsEvents(Domain):
    """Events of Windows logs."""

    kind: ClassVar[str] = "windows_event"
    unit: ClassVar[str] = "event"
    identity: ClassVar[tuple[str, ...]] = (
        *("computer", "channel", "event_id", "image", "command_line"),
    )

    def sniff(self, source: Source) -> float:
        """Return 1 for EVTX and for JSON Lines whose first object is an event."""
        return sniff_events(source)

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of events; see the base class.

        Raises:
            RecordError: also for EVTX without its header, or that grows beyond bounds.
        """
        rows: list[tuple[str | None, ...]] = []
        for origin, record in event_objects(source, on_bad=on_bad):
            try:
                rows.append((origin, *event_of(record)))
            except ValueError as err:
                on_bad(RecordError(str(err), origin=origin))
            if len(rows) >= _BATCH:
                yield _batch(rows)
                rows = []
        if rows:
            yield _batch(rows)

    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return ``VIEWS``."""
        return VIEWS

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the events as numbers.

        From the columns ``channel``, ``provider`` and ``event_id``, each where it is there, and
        ``text``; a title before `` | `` in it is left out.
        """
        text = batch.frame["text"].cast(pl.String)
        data = split_fields(text)
        out = {
            "shape": _shape(text, data),
            "event": _event(batch.frame),
            "field": count_tokens(data, _WIDTHS["field"], shape_tokens),
            "word": count_tokens(data, _WIDTHS["word"], field_words),
        }
        unknown = text.is_null().to_numpy()
        for name in ("shape", "field", "word"):
            out[name][unknown] = np.nan
        return in_views(out, VIEWS, views)

    def quote(self, record: Mapping[str, Any], column: str) -> str:
        """Return up to four of the tokens that a hashed column counted."""
        view, _, number = column.rpartition("_")
        if view not in _WIDTHS or not number.isdecimal():
            return ""
        if view == "event":
            known = {k: record[k] for k in _KIND if record.get(k) is not None}
            tokens = _kinds(pl.DataFrame([known], schema=dict.fromkeys(known, pl.String)))[0]
            pairs = [("", token) for token in tokens if token is not None]
            return quoted(pairs, int(number), _WIDTHS[view], lambda _, token: [token])
        data = split_fields(pl.Series([record.get("text")], dtype=pl.String))
        tokens_of = shape_tokens if view == "field" else field_words
        return quoted(data.pairs(), int(number), _WIDTHS[view], tokens_of)

    def facts(self, record: Mapping[str, Any]) -> tuple[Fact, ...]:
        """Return channel, provider, number and data fields as ``field:NAME``, and who is named."""
        found = [
            Fact(f"field:{name}", str(record[column]))
            for name, column in _RULE_FIELDS.items()
            if record.get(column) is not None
        ]
        computer = str(record.get("computer") or record.get("host") or "")
        found += [Fact("who", name) for name in (computer, computer.partition(".")[0]) if name]
        for name, value, is_who in told_fields(str(record.get("text") or "")):
            if is_who:
                found += [Fact("who", part) for part in re.split(r"[\\@,]", value) if part]
            else:
                found.append(Fact(f"field:{name}", value))
                found += [Fact("who", user) for user in _USER_FOLDER.findall(value)]
        return tuple(found)


def _batch(rows: list[tuple[str | None, ...]]) -> Batch:
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    frame = frame.with_columns(seconds(frame["time"]).alias("ts")).drop("time")
    return Batch(frame.drop("label") if frame["label"].null_count() == len(frame) else frame)


_KIND = ("channel", "provider", "event_id")


def _event(frame: pl.DataFrame) -> FloatArray:
    """Return the view ``event``; of the few kinds there are each is counted once."""
    known = [pl.col(k).cast(pl.String) for k in _KIND if k in frame.columns]
    if not known:
        return np.full((len(frame), _WIDTHS["event"]), np.nan, np.float32)
    each = frame.select(known)
    distinct = each.unique(maintain_order=True).with_row_index("row")
    rows = each.join(distinct, on=each.columns, how="left", nulls_equal=True, maintain_order="left")
    once = token_grams(_kinds(distinct), _WIDTHS["event"], orders=(1,))
    return np.take(once, rows["row"].to_numpy(), axis=0)


def _kinds(frame: pl.DataFrame) -> pl.Series:
    """Return the channel, provider and number of each event as tokens, and their pair."""
    known = {k: pl.col(k).cast(pl.String) for k in _KIND if k in frame.columns}
    absent = {k: pl.lit(None, pl.String) for k in _KIND if k not in known}
    part = {k: v.str.to_lowercase() for k, v in (known | absent).items()}
    channel = part["channel"].str.replace("microsoft-windows-", "", literal=True)
    tokens = pl.concat_list(
        pl.lit("channel ") + channel,
        pl.lit("provider ") + part["provider"],
        pl.lit("id ") + part["event_id"],
        channel + pl.lit(" ") + part["event_id"],
    ).list.drop_nulls()
    found = frame.select(pl.when(tokens.list.len() > 0).then(tokens).alias("kinds"))["kinds"]
    return found if len(found) == len(frame) else found.new_from_index(0, len(frame))


def _shape(text: pl.Series, data: Any) -> FloatArray:
    """Return the view ``shape``."""
    length = text.str.len_chars().fill_null(0).to_numpy()
    first = np.column_stack([data.counts(), np.log2(1 + length)]).astype(np.float32)
    return np.hstack([first, command_shape(named_field(data, COMMANDS))])
