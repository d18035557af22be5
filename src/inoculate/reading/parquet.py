"""Reads a Parquet file in batches of rows, in memory that does not grow with the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from inoculate.domain import Source
from inoculate.errors import RecordError

MAGIC = b"PAR1"
BATCH_ROWS = 65_536


def is_parquet(source: Source) -> bool:
    """Return True when the source begins like a Parquet file."""
    return source.head.startswith(MAGIC)


def column_types(source: Source) -> dict[str, pl.DataType]:
    """Return name and type of each column.

    Raises:
        RecordError: no file (a pipe), or a damaged one.
    """
    if source.path is None:
        raise RecordError("Parquet is read from a file only, not from a pipe", origin=source.name)
    with _Translated(source), _hushed():
        return dict(pl.scan_parquet(source.path, glob=False).collect_schema())


def read_rows(
    source: Source, columns: list[str] | None = None, *, batch_rows: int = BATCH_ROWS
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number of the first row, from 1, and a table of some rows.

    Raises:
        RecordError: as ``column_types``; also in the middle, when what follows is damaged.
    """
    column_types(source)
    row = 1
    with _Translated(source):
        lazy = pl.scan_parquet(source.path or "", glob=False)
        with _hushed():
            n_rows = lazy.select(pl.len()).collect().item()
        if columns is not None:
            lazy = lazy.select(columns)
        with _hushed():
            batches = lazy.collect_batches(chunk_size=batch_rows, maintain_order=True)
            frame = next(batches, None)
        while frame is not None:
            if frame.height:
                yield row, frame
            row += frame.height
            with _hushed():
                frame = next(batches, None)
    # a decoder that panics in its own thread ends the batches without an error
    if row - 1 != n_rows:
        problem = f"damaged Parquet: {row - 1} of {n_rows} rows can be read"
        raise RecordError(problem, origin=source.name)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep standard error shut: where the decoder panics it prints pages, whoever catches it."""
    try:
        kept = os.dup(2)
    except OSError:  # closed already
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _Translated:
    """Turns whatever the Parquet decoder raises on a damaged file into a RecordError."""

    def __init__(self, source: Source) -> None:
        self._name = source.name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, err: BaseException | None, trace: object) -> None:
        decoder = (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException)
        if isinstance(err, decoder):
            first = (str(err).splitlines() or [""])[0][:120]
            raise RecordError(f"damaged Parquet: {first}", origin=self._name) from err
