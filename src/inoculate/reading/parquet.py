"""Reads a Parquet file in batches of rows, in memory that does not grow with the file."""

from collections.abc import Iterator

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
    with _Translated(source):
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
        if columns is not None:
            lazy = lazy.select(columns)
        for frame in lazy.collect_batches(chunk_size=batch_rows, maintain_order=True):
            if frame.height:
                yield row, frame
            row += frame.height


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
