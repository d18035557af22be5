"""Context of a flow: what its originator did just before.

Hosts and ports are grouping keys here, never columns.
"""

import polars as pl

from inoculate.domain import Column


def _window(suffix: str, words: str) -> tuple[Column, ...]:
    return (
        Column(f"host_flows_{suffix}", "flow", f"flows of this host in {words}"),
        Column(f"host_responders_{suffix}", "host", f"hosts contacted in {words}"),
        Column(f"host_ports_{suffix}", "port", f"ports contacted in {words}"),
        Column(f"host_failed_{suffix}", "1", f"share of failed flows in {words}"),
        Column(f"host_size_entropy_{suffix}", "bit", f"entropy of flow sizes in {words}"),
        Column(f"host_gap_regularity_{suffix}", "1", f"regularity of gaps in {words}"),
    )


CONTEXT_COLUMNS: tuple[Column, ...] = (
    *_window("60s", "its last 60 s"),
    *_window("100", "its last 100 flows"),
)


class HostContext:
    """Placeholder body: written next."""

    def add(self, flows: pl.DataFrame) -> pl.DataFrame:
        """Return flows with the context columns added."""
        return flows.with_columns(pl.lit(None, pl.Float64).alias(c.name) for c in CONTEXT_COLUMNS)
