"""Cloud audit events: AWS CloudTrail, as delivered (a document with ``Records``) or a line each.

An analyst has them for every AWS account: who called which API with which parameters, and whether
it was refused. A record is one event.

Format: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference.html
Read are documents ``{"Records": [...]}``, arrays of events, single events and JSON Lines; in each
an event may lie under ``detail``, as EventBridge hands it on. ``.json.gz`` needs no unpacking.

Encoded are service, call, error, kind of identity, and the request's parameters by name, shape
and words. Who called, from where, with which agent, ids of accounts and resources, and names that
an account's owner gave, are never encoded. ``requestParameters`` of null means that there were
none; of one event 256 parameters count.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from inoculate.domain import Batch, Column, Domain, OnBad, Source, View, raise_bad
from inoculate.errors import RecordError
from inoculate.features.flows.flow_text import seconds
from inoculate.features.hashing import hashed_view, in_views, token_grams
from inoculate.features.hosts.cloud_parameters import (
    cut_parameters,
    flat_parameters,
    parameter_shape,
    parameter_words,
)
from inoculate.features.hosts.event_fields import Fields, count_tokens, quoted
from inoculate.reading.documents import read_document, writable
from inoculate.reading.json_lines import load_object
from inoculate.reading.lines import numbered, read_blocks
from inoculate.task import Encoded, FloatArray

_WIDTHS = {"event": 64, "parameter": 128, "word": 256}
VIEWS = (
    View(
        "shape",
        (
            Column("n_parameters", "parameter", "number of request parameters"),
            Column("parameters_length", "log2(1+n)", "length of the request parameters"),
            Column("failed", "yes/no", "a call that was refused or failed"),
            Column("read_only", "yes/no", "a call that only reads"),
        ),
    ),
    hashed_view("event", _WIDTHS["event"], "kind of call"),
    hashed_view("parameter", _WIDTHS["parameter"], "parameters and the shape of their values"),
    hashed_view("word", _WIDTHS["word"], "words of the call and its parameters"),
)
_KIND = ("eventSource", "eventName", "errorCode", "identity_type")
_SCHEMA: dict[str, Any] = {
    "origin": pl.String,
    "eventTime": pl.String,
    **dict.fromkeys(_KIND, pl.String),
    "readOnly": pl.Boolean,
    "requestParameters": pl.String,
    "user": pl.String,
    "sourceIPAddress": pl.String,
    "awsRegion": pl.String,
    "label": pl.String,
}
_RECORDS = re.compile(rb'\s*(?:\{\s*"Records"\s*:\s*)?\[')
_BATCH = 10_000
_BLOCK_BYTES = 8 << 20


class CloudAudit(Domain):
    """Events of AWS CloudTrail."""

    kind: ClassVar[str] = "cloud_audit"
    unit: ClassVar[str] = "event"
    identity: ClassVar[tuple[str, ...]] = (
        *("eventSource", "eventName", "errorCode", "user", "sourceIPAddress", "awsRegion"),
    )

    def sniff(self, source: Source) -> float:
        """Return 1 where the first event has CloudTrail's keys."""
        start = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not start.startswith((b"{", b"[")):
            return 0.0
        if not all(key in start for key in (b'"eventName"', b'"eventSource"')):
            return 0.0
        if _RECORDS.match(start) or not _is_line(start):
            return 0.95
        return 1.0 if _event(load_object(start.split(b"\n")[0])) else 0.0

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of events; see the base class.

        Raises:
            RecordError: also for a document that is no JSON, or has no events.
        """
        start = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        by_line = _is_line(start) and not _RECORDS.match(start)
        rows: list[tuple[object, ...]] = []
        for origin, record in _lines(source, on_bad) if by_line else _document(source):
            event = _event(record)
            if event is None:
                problem = "no CloudTrail event: 'eventName' or 'eventSource' is not there"
                on_bad(RecordError(problem, origin=origin))
                continue
            rows.append((origin, *_row(event)))
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

        From the columns ``eventSource``, ``eventName``, ``errorCode``, ``readOnly``,
        ``identity_type`` and ``requestParameters`` (JSON), each where it is there.
        """
        frame = batch.frame
        fields = _fields(frame)
        out = {
            "shape": _shape(frame, fields),
            "event": token_grams(_kinds(frame), _WIDTHS["event"], orders=(1,)),
            "parameter": count_tokens(fields, _WIDTHS["parameter"], parameter_shape),
            "word": count_tokens(fields, _WIDTHS["word"], parameter_words),
        }
        if "requestParameters" not in frame.columns:
            out["parameter"][:] = np.nan
        return in_views(out, VIEWS, views)

    def quote(self, record: Mapping[str, Any], column: str) -> str:
        """Return up to four of the tokens that a hashed column counted."""
        view, _, number = column.rpartition("_")
        if view not in _WIDTHS or not number.isdecimal():
            return ""
        known = {k: v for k, v in record.items() if k in _SCHEMA and v is not None}
        frame = pl.DataFrame([known or {"origin": ""}], schema_overrides={"readOnly": pl.Boolean})
        if view == "event":
            tokens = _kinds(frame)[0]
            pairs = [("", t) for t in ([] if tokens is None else tokens)]
            return quoted(pairs, int(number), _WIDTHS[view], lambda _, token: [token])
        tokens_of = parameter_shape if view == "parameter" else parameter_words
        return quoted(_fields(frame).pairs(), int(number), _WIDTHS[view], tokens_of)


def _is_line(start: bytes) -> bool:
    """Return whether the first line is an object of its own."""
    try:
        load_object(start.split(b"\n")[0])
    except ValueError:
        return False
    return True


def _lines(source: Source, on_bad: OnBad) -> Iterator[tuple[str, Any]]:
    for block in read_blocks(source, on_bad=on_bad, block_bytes=_BLOCK_BYTES):
        for number, line in numbered(block):
            origin = f"{source.name}:{number}"
            try:
                yield origin, writable(load_object(line), line)
            except ValueError as err:
                on_bad(RecordError(str(err), origin=origin))


def _document(source: Source) -> Iterator[tuple[str, Any]]:
    value = read_document(source)
    if isinstance(value, dict):
        value = value.get("Records", [value])
    if not isinstance(value, list):
        raise RecordError("'Records' is no array of events", origin=source.name)
    for number, record in enumerate(value, start=1):
        yield f"{source.name}#{number}", record


def _event(record: Any) -> dict[str, Any] | None:
    """Return the event in a record, None where there is none."""
    if isinstance(record, dict) and isinstance(record.get("detail"), dict):
        record = {**record["detail"], "label": record.get("label")}
    if not isinstance(record, dict):
        return None
    named = all(isinstance(record.get(k), str) for k in ("eventName", "eventSource"))
    return record if named else None


def _row(event: dict[str, Any]) -> tuple[object, ...]:
    identity = event.get("userIdentity")
    identity = identity if isinstance(identity, dict) else {}
    read_only = event.get("readOnly")
    if isinstance(read_only, str):
        read_only = {"true": True, "false": False}.get(read_only.lower())
    given = event.get("requestParameters")
    user = _text(identity.get("arn")) or _text(identity.get("userName"))
    return (
        _text(event.get("eventTime")),
        *(_text(event.get(k)) for k in _KIND[:3]),
        _text(identity.get("type")),
        read_only if isinstance(read_only, bool) else None,
        None if given is None else json.dumps(cut_parameters(given)),
        user or _text(identity.get("invokedBy")),
        *(_text(event.get(k)) for k in ("sourceIPAddress", "awsRegion", "label")),
    )


def _text(value: object) -> str | None:
    return value[:300] if isinstance(value, str) else None


def _batch(rows: list[tuple[object, ...]]) -> Batch:
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    frame = frame.with_columns(seconds(frame["eventTime"]).alias("ts")).drop("eventTime")
    return Batch(frame.drop("label") if frame["label"].null_count() == len(frame) else frame)


def _texts(frame: pl.DataFrame, name: str) -> list[str | None]:
    if name not in frame.columns:
        return [None] * len(frame)
    return frame[name].cast(pl.String).to_list()


def _fields(frame: pl.DataFrame) -> Fields:
    """Return the parameters of each event, its call and its error as the fields ``@...``."""
    known: dict[str, int] = {}
    of_json: dict[str | None, list[int]] = {}
    code: list[int] = []
    sizes: list[int] = []
    columns = (_texts(frame, c) for c in ("requestParameters", "eventName", "errorCode"))
    for given, name, error in zip(*columns, strict=True):
        codes = of_json.get(given)
        if codes is None:
            pieces = (f"{k}={v}" for k, v in flat_parameters(given or "null"))
            codes = of_json[given] = [known.setdefault(p, len(known)) for p in pieces]
        code += codes
        extra = [f"{k}={v}" for k, v in (("@call", name), ("@error", error)) if v]
        code += [known.setdefault(p, len(known)) for p in extra]
        sizes.append(len(codes) + len(extra))
    row = np.repeat(np.arange(len(frame)), np.array(sizes, np.int64))
    return Fields(len(frame), row, np.array(code, np.int64), list(known))


def _kinds(frame: pl.DataFrame) -> pl.Series:
    """Return service, call, their pair, error and kind of identity as tokens."""
    part = {k: pl.Series(_texts(frame, k), dtype=pl.String) for k in _KIND}
    source = part["eventSource"].str.to_lowercase().str.replace(r"\.amazonaws\.com$", "")
    tokens = pl.DataFrame(
        {
            "a": "service " + source,
            "b": "call " + part["eventName"],
            "c": source + " " + part["eventName"],
            "d": "error " + part["errorCode"],
            "e": "identity " + part["identity_type"],
        }
    ).select(pl.concat_list(pl.all()).list.drop_nulls().alias("kinds"))
    some = pl.when(pl.col("kinds").list.len() > 0).then(pl.col("kinds"))
    return tokens.select(some.alias("kinds"))["kinds"]


def _shape(frame: pl.DataFrame, fields: Fields) -> FloatArray:
    ours = np.array([not p.startswith("@") for p in fields.distinct], bool)
    mine = ours[fields.code] if len(ours) else np.zeros(0, bool)
    out = np.full((fields.n, 4), np.nan)
    if "requestParameters" in frame.columns:
        out[:, 0] = np.bincount(fields.row[mine], minlength=fields.n)
        given = frame["requestParameters"].cast(pl.String).fill_null("")
        out[:, 1] = np.log2(1 + given.str.len_chars().to_numpy())
    if "errorCode" in frame.columns:
        out[:, 2] = frame["errorCode"].is_not_null().to_numpy()
    if "readOnly" in frame.columns:
        out[:, 3] = frame["readOnly"].cast(pl.Float64, strict=False).to_numpy()
    return out.astype(np.float32)
