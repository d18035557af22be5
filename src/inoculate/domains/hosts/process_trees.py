"""Trees of processes from the events of Windows logs: Sysmon 1 and Security 4688.

An analyst asks of a process who started it and what it started itself: a word processor that
starts a shell that starts ten small tools is an intruder, though each start by itself is usual.
A record is a process with what was started below it within five minutes of its start, and the
programs above it by name. So a process is a record of its own and part of those above it. It is
told when its five minutes are over by its own host's events, at the latest at the end.

Formats: as ``windows_events`` reads them; all other events are passed over. The two events of one
start count once. Because those files are read as single events unless asked otherwise, this
format is taken by its name (``--input-format process_trees``) or by a detector of its kind.

Encoded are counts, times between the starts, program names with who started whom, and words of
paths and command lines. Hosts, users, addresses, numbers of processes and moments are not.
A parent from before the log began is known by the name in its child's event, where that has it.

Reference:
    Sysmon, event 1, https://learn.microsoft.com/sysinternals/downloads/sysmon; Security auditing,
    event 4688, https://learn.microsoft.com/windows/security/threat-protection/auditing/event-4688.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from inoculate.domain import Batch, Domain, OnBad, Source, View, raise_bad
from inoculate.errors import RecordError
from inoculate.features.hashing import hashed_view, in_views, token_grams
from inoculate.features.hosts.command_shape import COMMAND_COLUMNS, command_shape
from inoculate.features.hosts.event_fields import count_tokens, field_words, quoted, token_columns
from inoculate.features.hosts.tree_shape import (
    SHAPE_COLUMNS,
    Members,
    command_fields,
    kin_tokens,
    members,
    shown_tree,
    tree_shape,
)
from inoculate.reading.process_tree import Process, Trees, gap
from inoculate.reading.windows_event import started_process
from inoculate.reading.windows_log import event_objects, sniff_events
from inoculate.task import Encoded, FloatArray

_WIDTHS = {"kin": 192, "word": 256}
VIEWS = (
    View("shape", (*SHAPE_COLUMNS, *COMMAND_COLUMNS)),
    hashed_view("kin", _WIDTHS["kin"], "programs and what started them"),
    hashed_view("word", _WIDTHS["word"], "words of the tree's command lines"),
)
_SCHEMA: dict[str, Any] = {
    "origin": pl.String,
    "ts": pl.Float64,
    "computer": pl.String,
    "image": pl.String,
    "command_line": pl.String,
    "tree": pl.String,
    "ancestors": pl.List(pl.String),
    "images": pl.List(pl.String),
    "parents": pl.List(pl.Int64),
    "command_lines": pl.List(pl.String),
    "after_s": pl.List(pl.Float64),
    "is_cut": pl.Boolean,
    "label": pl.String,
}
_BATCH = 2_000
_MOST_MEMBERS = 20_000
_QUOTED = 48
_SHOWN_COMMAND = 1_000
_SHOWN_TREE = 300


class ProcessTrees(Domain):
    """Trees of processes on Windows hosts."""

    kind: ClassVar[str] = "process_tree"
    unit: ClassVar[str] = "process tree"
    identity: ClassVar[tuple[str, ...]] = ("computer", "image", "command_line", "tree")
    made_of: ClassVar[str] = "windows_event"

    def sniff(self, source: Source) -> float:
        """Return 1 for EVTX and for JSON Lines whose first object is an event."""
        return sniff_events(source)

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of trees, each when it is closed; see the base class.

        Raises:
            RecordError: also for EVTX without its header, or that grows beyond bounds.
        """
        rows: list[dict[str, Any]] = []
        n_members = 0
        for root in _roots(source, on_bad):
            rows.append(_row(root))
            n_members += len(root.members)
            if len(rows) >= _BATCH or n_members >= _MOST_MEMBERS:
                yield _batch(rows)
                rows, n_members = [], 0
        if rows:
            yield _batch(rows)

    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return ``VIEWS``."""
        return VIEWS

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the trees as numbers.

        From the columns ``images``, ``parents``, ``command_lines``, ``after_s`` and ``ancestors``,
        lists with a tree's root first, and ``is_cut``; all but ``images`` may be absent.
        """
        frame = batch.frame
        tree = members(frame)
        ancestors = frame["ancestors"] if "ancestors" in frame.columns else None
        out = {
            "shape": _shape(frame, tree),
            "kin": token_grams(kin_tokens(tree, ancestors), _WIDTHS["kin"], orders=(1,)),
            "word": count_tokens(command_fields(tree), _WIDTHS["word"], field_words),
        }
        out["word"][np.bincount(tree.row, minlength=tree.n) == 0] = np.nan
        return in_views(out, VIEWS, views)

    def quote(self, record: Mapping[str, Any], column: str) -> str:
        """Return up to four of the programs or words that a hashed column counted."""
        view, _, number = column.rpartition("_")
        if view not in _WIDTHS or not number.isdecimal():
            return ""
        known = {k: [v] for k, v in record.items() if k in _SCHEMA}
        frame = pl.DataFrame(known, schema={k: _SCHEMA[k] for k in known})
        if "images" not in known:
            return ""
        tree = members(frame)
        if view == "word":
            pairs = command_fields(tree).pairs()
            return quoted(pairs, int(number), _WIDTHS[view], field_words)
        kin = kin_tokens(tree, frame["ancestors"] if "ancestors" in known else None)[0]
        tokens = [] if kin is None else kin.unique(maintain_order=True).to_list()
        places = token_columns(tokens, _WIDTHS[view]).tolist()
        found = [t for t, place in zip(tokens, places, strict=True) if place == int(number)]
        return " ".join(f"'{t[:_QUOTED]}'" for t in found[:4])


def _roots(source: Source, on_bad: OnBad) -> Iterator[Process]:
    trees = Trees()
    for origin, record in event_objects(source, on_bad=on_bad):
        try:
            started = started_process(record)
        except ValueError as err:
            on_bad(RecordError(str(err), origin=origin))
            continue
        if started is not None:
            yield from trees.add(started, origin)
    yield from trees.finish()


def _row(root: Process) -> dict[str, Any]:
    every = [root, *root.members]
    row = {
        "origin": root.origin,
        "ts": root.time,
        "computer": root.host or None,
        "image": root.image,
        "command_line": None if root.command_line is None else root.command_line[:_SHOWN_COMMAND],
        "ancestors": list(root.ancestors),
        "images": [p.image for p in every],
        "parents": root.parents(),
        "command_lines": [p.command_line for p in every],
        "after_s": [gap(root, p) for p in every],
        "is_cut": root.is_cut,
        "label": root.label,
    }
    return row | {"tree": shown_tree(row)[:_SHOWN_TREE]}


def _batch(rows: list[dict[str, Any]]) -> Batch:
    frame = pl.DataFrame(rows, schema=_SCHEMA)
    return Batch(frame.drop("label") if frame["label"].null_count() == len(frame) else frame)


def _shape(frame: pl.DataFrame, tree: Members) -> FloatArray:
    """Return the view ``shape``: of the tree, and of its root's command line."""
    shape = tree_shape(tree, frame["is_cut"] if "is_cut" in frame.columns else None)
    commands = [None] * tree.n
    roots = tree.command_line.filter(pl.Series(tree.is_root))
    for row, command in zip(tree.row[tree.is_root].tolist(), roots, strict=True):
        commands[row] = command
    return np.hstack([shape, command_shape(pl.Series(commands, dtype=pl.String))])
