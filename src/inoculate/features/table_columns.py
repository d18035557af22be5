"""Which columns of a user's table become numbers, and how.

Left out, kept in the frame only: what identifies a record, says when it was, or names its class.
That is told from a column's name (``LEFT_OUT``), or from its first values where those are
addresses or times.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import polars as pl

from inoculate.domain import Column, View
from inoculate.errors import RecordError
from inoculate.task import Encoded

LEFT_OUT: tuple[str, ...] = (
    r"(.* )?(id|ids|uid|uuid|guid|ip|ips|addr|address|mac|host|hostname|user|username|email|name)",
    r"(.* )?(src|dst|source|dest|destination|s|d|orig|resp) ?(ip|addr|address|mac|host|port|h|p)",
    r"(.* )?(port|sport|dport|saddr|daddr|srcip|dstip|hash|md5|sha1|sha256)",
    r"(.* )?(timestamp|epoch|datetime|date)( .*)?|ts|te|time|.* ts|stime|ltime",
    r"(start|end|event|first|last|created|updated|seen|received|log) ?(time|seen|at)",
    r"(.* )?(label|labels|class|classes|attack|truth)( .*)?|category|target",
    r"index|row|row group|row number|split|fold|line|origin",
)
"""Patterns of names that are left out, on the name's words in lower case."""

TIMES: tuple[str, ...] = ("ts", "timestamp", "time", "datetime", "event time", "start time", "date")
"""Names of a column that says when a record was, the likeliest first."""

MOST_VALUES = 32
"""A text column with at most so many values becomes yes/no columns."""
MOST_CATEGORIES = 16
NUMBER_SHARE = 0.75
"""A column of text cells is a number column when at least this share of them are numbers."""
UNKNOWN = ("-", "NA", "N/A", "n/a", "null", "NULL", "None", "none", "?", "(empty)")
"""Cells that mean null."""

_LENGTH = "char"
_IDENTIFYING = (
    r"^(\d{1,3}\.){3}\d{1,3}(:\d+|/\d+)?$"
    r"|^[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}$"
    r"|^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$"
    r"|^\d{4}[-/]\d{2}[-/]\d{2}([T ].*)?$|^\d{1,2}/\d{1,2}/\d{4}([T ].*)?$"
)
_left_out = re.compile("|".join(f"(?:{p})" for p in LEFT_OUT))


def plain(name: str) -> str:
    """Return a name's words in lower case, a blank between them: ``srcIP`` is ``src ip``."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return " ".join(re.findall(r"[^\W_]+", spaced.lower()))


def is_left_out(name: str) -> bool:
    """Return True when a column of this name identifies, dates or classifies a record."""
    return _left_out.fullmatch(plain(name)) is not None


def time_column(names: Collection[str]) -> str | None:
    """Return the column that says when a record was, None where there is none."""
    by_plain = {plain(n): n for n in reversed(list(names))}
    return next((by_plain[t] for t in TIMES if t in by_plain), None)


def number_columns(frame: pl.DataFrame) -> frozenset[str]:
    """Return the columns that hold numbers; of text, those mostly readable as such."""
    found = {n for n, t in frame.schema.items() if t.is_numeric() or t == pl.Boolean}
    for name in (n for n, t in frame.schema.items() if t == pl.String):
        cells = frame[name].drop_nulls()
        numbers = cells.str.strip_chars(" \t").cast(pl.Float64, strict=False)
        if len(cells) and numbers.is_not_null().sum() >= NUMBER_SHARE * len(cells):
            found.add(name)
    return frozenset(found)


def choose_columns(frame: pl.DataFrame, hidden: Collection[str]) -> tuple[Column, ...]:
    """Return what the records of a table are encoded to, found in some of them.

    A number is taken as it is. A text column with at most ``MOST_VALUES`` values becomes one
    yes/no column for each of its ``MOST_CATEGORIES`` most frequent values; another one its
    length.

    Args:
        frame: records, numbers as Float64 and text as String.
        hidden: frame columns that are not of the table.
    """
    columns: list[Column] = []
    for name, kind in frame.schema.items():
        if name in hidden or is_left_out(name) or kind not in (pl.Float64, pl.String):
            continue
        if kind == pl.Float64:
            columns.append(Column(name, "", name))
        elif not _identifies(frame[name]):
            columns += _text_columns(frame[name])
    return tuple(columns)


def _identifies(values: pl.Series) -> bool:
    first = values.drop_nulls().head(100)
    return len(first) > 0 and first.str.contains(_IDENTIFYING).sum() > 0.9 * len(first)


def _text_columns(values: pl.Series) -> list[Column]:
    name = values.name
    known = values.drop_nulls()
    if known.n_unique() > MOST_VALUES:
        return [Column(f"{name}.length", _LENGTH, f"length of {name}", source=name)]
    counts = known.to_frame("value").group_by("value").len()
    top = counts.sort(["len", "value"], descending=[True, False]).head(MOST_CATEGORIES)
    return [
        Column(f"{name}={value}", "yes/no", f"{name} is {value}", category=value, source=name)
        for value in top["value"].to_list()
    ]


def encode_table(frame: pl.DataFrame, views: Sequence[View], origins: pl.Series) -> Encoded:
    """Return a table in the columns of ``views``; NaN where a cell is empty.

    Raises:
        RecordError: a column is missing, or has a text where a number is expected.
    """
    arrays = {}
    for view in views:
        _check(frame, view, origins)
        values = [
            _value(column, frame.schema).alias(str(i)) for i, column in enumerate(view.columns)
        ]
        finite = (pl.when(v.is_finite()).then(v).otherwise(float("nan")) for v in values)
        x = frame.select(finite).to_numpy(order="c", writable=True)
        arrays[view.name] = x.reshape(frame.height, len(view.columns))
    return Encoded(arrays)


def _value(column: Column, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    cell = pl.col(column.source or column.name)
    if column.category is not None:
        value = _as_text(cell, schema[column.source or column.name]) == column.category
    elif column.source is not None and column.unit == _LENGTH:
        value = _as_text(cell, schema[column.source]).str.len_chars()
    else:
        value = _as_number(cell, schema[column.name])
    return value.cast(pl.Float32)


def _as_text(cell: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Return cells as text, whole numbers without a point."""
    text = cell.cast(pl.String)
    return text.str.strip_suffix(".0") if kind.is_float() else text


def _as_number(cell: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if kind != pl.String:
        return cell.cast(pl.Float64)
    text = cell.str.strip_chars(" \t")
    return pl.when(text != "").then(text).cast(pl.Float64, strict=False)


def _check(frame: pl.DataFrame, view: View, origins: pl.Series) -> None:
    place = str(origins[0]) if len(origins) else "the table"
    for column in view.columns:
        name = column.source or column.name
        if name not in frame.columns:
            have = ", ".join(c[:40] for c in frame.columns[:30])
            raise RecordError(f"column {name[:60]!r} is missing; has {have}", origin=place)
        if frame.schema[name] != pl.String or column.source is not None:
            continue
        number = _as_number(pl.col(name), pl.String())
        wrong = frame.with_columns(origins.alias("origin")).filter(
            number.is_null() & (pl.col(name).str.strip_chars(" \t") != "")
        )
        if wrong.height:
            value = wrong[name][0][:40]
            problem = f"column {name[:60]!r} is {value!r}, expected a number"
            raise RecordError(problem, origin=str(wrong["origin"][0]))
