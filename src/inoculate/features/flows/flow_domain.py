"""What every source of network flows shares: kind, identity, schema and encoding."""

from collections.abc import Sequence
from typing import ClassVar

from inoculate.domain import Batch, Domain, View
from inoculate.features.flows.flow_schema import FLOW_VIEW, IDENTITY, encode_flows
from inoculate.task import Encoded


class FlowDomain(Domain):
    """Base of the domains that read flows; one is left to ``sniff`` and to ``read``.

    ``read`` yields frames that ``flow_schema.complete`` has completed.
    """

    kind: ClassVar[str] = "flow"
    unit: ClassVar[str] = "flow"
    identity: ClassVar[tuple[str, ...]] = IDENTITY

    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return the canonical flow view."""
        return (FLOW_VIEW,)

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the flows in the columns of ``views``."""
        return encode_flows(batch.frame, views)
