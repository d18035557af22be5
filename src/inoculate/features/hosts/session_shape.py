"""What a session of a log looks like: its length, its times, how its lines repeat and complain."""

import re

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Column, View
from inoculate.features.hosts.event_fields import Fields
from inoculate.features.hosts.log_shape import SEVERITIES
from inoculate.features.hosts.sequence import sequence_shape, sequence_view
from inoculate.task import FloatArray

_SAID = tuple(name for name in SEVERITIES if name not in ("says_info", "says_accepted"))
_OF_SEQUENCE = tuple(
    c for c in sequence_view("kinds of lines", _SAID).columns if c.name != "unknown"
)
SHAPE = View(
    "shape",
    (
        *_OF_SEQUENCE,
        Column("duration", "log2(1+s)", "time from the first line to the last"),
        Column("longest_gap", "log2(1+s)", "longest time between two lines"),
        Column("named", "yes/no", "lines that name one thing"),
        Column("goes_on", "yes/no", "a session that goes on in another record"),
        Column("new_share", "1", "share of lines of a kind new to the log", context=True),
    ),
)
"""What ``session_shape`` returns."""

_PATTERNS = {name: re.compile(rf"(?i)\b(?:{SEVERITIES[name]})\b") for name in _SAID}


def session_shape(frame: pl.DataFrame) -> FloatArray:
    """Return the view ``SHAPE`` of sessions, (n, 16) float32; what a frame lacks is NaN.

    Args:
        frame: has ``templates`` (List(String)); and where known ``after_s`` (List(Float64)),
            ``named`` and ``goes_on`` (Boolean), and ``n_new`` (Int64).
    """
    templates = frame["templates"].cast(pl.List(pl.String))
    distinct = templates.explode().drop_nulls().unique().to_list()
    said = {t: next((n for n, p in _PATTERNS.items() if p.search(t)), "") for t in distinct}
    every = sequence_shape(templates, said, _SAID)
    all_names = [c.name for c in sequence_view("", _SAID).columns]
    own = every[:, [i for i, name in enumerate(all_names) if name != "unknown"]]
    lengths = templates.list.len().cast(pl.Float64).to_numpy()
    after = frame["after_s"] if "after_s" in frame.columns else None
    times = _times(after, len(frame))
    flags = [_number(frame, name) for name in ("named", "goes_on")]
    new = _number(frame, "n_new") / np.maximum(lengths, 1)
    out = np.column_stack([own, times, *flags, new]).astype(np.float32)
    out[templates.is_null().to_numpy()] = np.nan
    return out


def _number(frame: pl.DataFrame, name: str) -> npt.NDArray[np.float64]:
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _times(after: pl.Series | None, n: int) -> npt.NDArray[np.float64]:
    """Return log2(1 + seconds) of duration and longest gap, (n, 2); NaN where no time is known."""
    if after is None:
        return np.full((n, 2), np.nan)
    known = after.cast(pl.List(pl.Float64)).list.drop_nulls()
    frame = pl.DataFrame({"t": known}).select(
        (pl.col("t").list.max() - pl.col("t").list.min()).alias("duration"),
        pl.when(pl.col("t").list.len() > 1).then(pl.col("t").list.diff().list.max()).alias("gap"),
    )
    seconds = frame.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.asarray(np.log2(1 + np.maximum(seconds, 0.0)))


def template_words(templates: pl.Series) -> Fields:
    """Return the different templates of each session as fields whose words can be counted."""
    frame = pl.DataFrame({"row": np.arange(len(templates)), "t": templates}).explode("t")
    frame = frame.drop_nulls().unique(maintain_order=True)
    distinct = frame["t"].unique(maintain_order=True)
    index = pl.DataFrame({"t": distinct, "code": np.arange(len(distinct), dtype=np.int64)})
    code = frame.join(index, on="t", how="left", maintain_order="left")["code"].to_numpy()
    return Fields(
        len(templates), frame["row"].to_numpy().astype(np.int64), code, distinct.to_list()
    )


_WORD = re.compile(r"<\w+>|[\w$%.-]*\w|[{}\[\]|;&]")


def line_words(name: str, value: str) -> list[str]:
    """Return the words of a template; ``count_tokens`` hands it over cut at its first ``=``."""
    return list(dict.fromkeys(_WORD.findall(f"{name} {value}".lower())))
