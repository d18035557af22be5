"""What a tree of processes looks like, and which program started which, as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Column
from inoculate.features.hosts.event_fields import Fields
from inoculate.task import FloatArray

Ints = npt.NDArray[np.int64]

SHAPE_COLUMNS = (
    Column("n_processes", "log2(1+n)", "number of processes started below"),
    Column("n_children", "log2(1+n)", "number of processes started directly"),
    Column("depth", "process", "depth of the tree of processes"),
    Column("breadth", "log2(1+n)", "most processes started by one"),
    Column("n_images", "log2(1+n)", "number of different programs"),
    Column("same_share", "1", "share of processes of the same program as their parent"),
    Column("first_child_s", "log2(1+s)", "time to the first process started"),
    Column("span_s", "log2(1+s)", "time to the last process started"),
    Column("commands_length", "log2(1+n)", "length of all command lines of the tree"),
    Column("is_cut", "yes/no", "a tree of more processes than are looked at"),
)
"""What ``tree_shape`` returns."""

_DEEPEST = 64


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The processes of n trees one after another, m in all, each tree's root first.

    Attributes:
        n: trees.
        row: (m,) the tree of each process, ascending.
        parent: (m,) place of each one's parent among the m; a root's is its own.
        is_root: (m,).
        name: (m,) the program's file name; null where unknown.
        image: (m,) its path.
        command_line: (m,) null where unknown.
        after_s: (m,) seconds after the root's start, NaN where unknown.
    """

    n: int
    row: Ints
    parent: Ints
    is_root: npt.NDArray[np.bool_]
    name: pl.Series
    image: pl.Series
    command_line: pl.Series
    after_s: npt.NDArray[np.float64]


def members(frame: pl.DataFrame) -> Members:
    """Return the processes of the trees in a frame.

    Args:
        frame: has ``images`` (List(String)); and where known, of the same lengths,
            ``parents`` (List(Int64), place of each one's parent in its tree),
            ``command_lines`` (List(String)) and ``after_s`` (List(Float64)).
    """
    images = frame["images"].cast(pl.List(pl.String))
    sizes = images.list.len().fill_null(0).to_numpy().astype(np.int64)
    m, some = int(sizes.sum()), pl.Series(sizes > 0)
    row = np.repeat(np.arange(len(sizes)), sizes)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    flat = {
        "images": images.filter(some).explode(),
        "command_lines": _flat(frame, "command_lines", pl.String, some, m),
        "parents": _flat(frame, "parents", pl.Int64, some, m).fill_null(0),
        "after_s": _flat(frame, "after_s", pl.Float64, some, m).fill_null(np.nan),
    }
    place = np.arange(m) - first
    # a parent comes before its child; whatever else is said, the root stands for it
    parents = flat["parents"].to_numpy()
    parents = np.where((parents >= 0) & (parents < place), parents, 0)
    name = flat["images"].str.strip_chars('" ').str.extract(r"([^\\/]*)$").str.to_lowercase()
    return Members(
        len(sizes),
        row,
        first + parents,
        place == 0,
        name.str.replace_all(r"\d{3,}", "#").str.slice(0, 40),
        flat["images"],
        flat["command_lines"],
        flat["after_s"].to_numpy().astype(np.float64),
    )


def _flat(frame: pl.DataFrame, name: str, kind: Any, some: pl.Series, m: int) -> pl.Series:
    """Return a column of lists as one series, (m,); null where it is not there."""
    if name in frame.columns:
        flat = frame[name].cast(pl.List(kind)).filter(some).explode()
        if len(flat) == m:
            return flat
    return pl.Series(name, [None] * m, dtype=kind)


def tree_shape(tree: Members, is_cut: pl.Series | None) -> FloatArray:
    """Return the columns ``SHAPE_COLUMNS`` of each tree, (n, 10) float32.

    A tree without a process has NaN throughout; times and lengths that nothing tells are NaN.
    """
    n, row, below = tree.n, tree.row, ~tree.is_root
    children = np.bincount(tree.parent[below], minlength=len(row))
    codes = tree.name.fill_null("").rank("dense").to_numpy().astype(np.int64)
    same = below & (codes == codes[tree.parent])
    n_below = np.bincount(row[below], minlength=n)
    pairs = np.unique(row * (int(codes.max(initial=0)) + 1) + codes) if len(row) else row
    distinct = np.bincount(pairs // (int(codes.max(initial=0)) + 1), minlength=n)
    lengths = tree.command_line.str.len_chars().cast(pl.Float64)
    out = np.column_stack(
        [
            np.log2(1 + n_below),
            np.log2(1 + _largest(row[tree.is_root], children[tree.is_root], n)),
            _largest(row, depths(tree), n),
            np.log2(1 + _largest(row, children, n)),
            np.log2(1 + distinct),
            np.bincount(row[same], minlength=n) / np.maximum(n_below, 1),
            np.log2(1 + _extreme(row, np.where(below, tree.after_s, np.nan), n, np.fmin)),
            np.log2(1 + _extreme(row, np.where(below, tree.after_s, np.nan), n, np.fmax)),
            np.log2(1 + np.bincount(row, lengths.fill_null(0.0).to_numpy(), minlength=n)),
            np.full(n, np.nan) if is_cut is None else is_cut.cast(pl.Float64).to_numpy(),
        ]
    ).astype(np.float32)
    known = np.bincount(row, lengths.is_not_null().to_numpy(), minlength=n) > 0
    out[~known, 8] = np.nan
    out[np.bincount(row, minlength=n) == 0] = np.nan
    return out


def depths(tree: Members) -> Ints:
    """Return how many processes are above each one in its tree, (m,)."""
    depth = np.zeros(len(tree.row), np.int64)
    for _ in range(_DEEPEST):
        deeper = np.where(tree.is_root, 0, depth[tree.parent] + 1)
        if (deeper == depth).all():
            break
        depth = deeper
    return depth


def _largest(row: Ints, values: Ints, n: int) -> npt.NDArray[np.float64]:
    out = np.zeros(n)
    np.maximum.at(out, row, values)
    return out


def _extreme(
    row: Ints, values: npt.NDArray[np.float64], n: int, which: np.ufunc
) -> npt.NDArray[np.float64]:
    """Return the least or the largest known value of each row, not below 0; NaN for none."""
    out = np.full(n, np.nan)
    which.at(out, row, np.maximum(values, 0.0))
    return out


def kin_tokens(tree: Members, ancestors: pl.Series | None) -> pl.Series:
    """Return what started what in each tree, (n,) List(String); null for one without a process.

    Of each process its name, ``parent>child`` and ``grandparent>parent>child``, across the root
    to the processes above it; of those above it ``above NAME``.

    Args:
        tree: the processes.
        ancestors: (n,) List(String), the files above each root, the nearest first; None where
            nothing is known.
    """
    above = pl.Series([None] * tree.n, dtype=pl.List(pl.String)) if ancestors is None else ancestors
    names = above.cast(pl.List(pl.String)).list.eval(
        pl.element().str.extract(r"([^\\/]*)$").str.to_lowercase().replace("", None)
    )
    first, second = (names.list.get(i, null_on_oob=True).gather(tree.row) for i in (0, 1))
    root = pl.Series(tree.is_root)
    name = tree.name.replace("", None)
    parent = first.zip_with(root, name.gather(tree.parent))
    grandparent = second.zip_with(root, parent.gather(tree.parent))
    tokens = pl.DataFrame({"row": tree.row, "c": name, "p": parent, "g": grandparent}).select(
        "row",
        pl.concat_list(
            pl.col("c"),
            pl.col("p") + ">" + pl.col("c"),
            pl.col("g") + ">" + pl.col("p") + ">" + pl.col("c"),
        )
        .list.drop_nulls()
        .alias("kin"),
    )
    higher = pl.DataFrame({"row": np.arange(tree.n), "kin": names.list.drop_nulls()}).with_columns(
        pl.col("kin").list.eval("above " + pl.element())
    )
    known = higher.filter(pl.col("row").is_in(np.unique(tree.row)))
    both = pl.concat([tokens, known]).with_columns(pl.col("row").cast(pl.Int64))
    joined = both.explode("kin").drop_nulls().group_by("row", maintain_order=True).agg("kin")
    every = pl.DataFrame({"row": np.arange(tree.n)})
    return every.join(joined, on="row", how="left", maintain_order="left")["kin"]


def command_fields(tree: Members) -> Fields:
    """Return paths and command lines of all processes of each tree as fields of it."""
    parts = pl.DataFrame({"row": tree.row, "i": tree.image, "c": tree.command_line}).select(
        "row", pl.concat_list("Image=" + pl.col("i"), "CommandLine=" + pl.col("c")).alias("piece")
    )
    parts = parts.explode("piece").drop_nulls()
    distinct = parts["piece"].unique(maintain_order=True)
    index = pl.DataFrame({"piece": distinct, "code": np.arange(len(distinct), dtype=np.int64)})
    code = parts.join(index, on="piece", how="left", maintain_order="left")["code"].to_numpy()
    row = parts["row"].to_numpy().astype(np.int64)
    return Fields(tree.n, row, code, distinct.to_list())


def shown_tree(record: Mapping[str, Any]) -> str:
    r"""Return a tree in a line: who started the root, ``>``, the root, and what it started.

    Example:
        >>> shown_tree({"ancestors": ["b"], "images": ["a", "x", "y"], "parents": [-1, 0, 1]})
        'b > a > (x > (y))'
    """
    names = [_last(i) for i in record["images"]]
    below: dict[int, list[int]] = {}
    for child, parent in enumerate(record["parents"]):
        below.setdefault(parent, []).append(child)
    above = [_last(i) or "?" for i in reversed(record["ancestors"])]
    return " > ".join([*above, _told(0, names, below)])


def _last(image: str | None) -> str:
    return (image or "").replace("/", "\\").rpartition("\\")[2].strip('" ')[:40]


def _told(at: int, names: list[str], below: dict[int, list[int]], depth: int = 0) -> str:
    name, rest = names[at] or "?", below.get(at, [])
    if not rest or depth >= _SHOWN_DEPTH:
        return name
    some = ", ".join(_told(i, names, below, depth + 1) for i in rest[:_SHOWN_BREADTH])
    more = f", {len(rest) - _SHOWN_BREADTH} more" if len(rest) > _SHOWN_BREADTH else ""
    return f"{name} > ({some}{more})"


_SHOWN_DEPTH, _SHOWN_BREADTH = 4, 4
