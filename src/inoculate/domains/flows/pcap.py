"""Network flows from packet captures: pcap and pcapng.

What it is: packets as tcpdump, Wireshark or a network tap wrote them. A record is a flow, both
directions of one 5-tuple between two boundaries (``features/flow_boundaries``).
Why an analyst cares: it is the evidence itself, and knows sizes and times that logs leave out.

References:
    draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng, see ``reading/captures``.
"""

import secrets
from collections.abc import Iterator

import numpy as np

from inoculate.domain import Batch, OnBad, Source, raise_bad
from inoculate.errors import InputError, RecordError, TruncatedError
from inoculate.features.flows.flow_domain import FlowDomain
from inoculate.features.flows.flow_frame import flow_frame
from inoculate.features.flows.flow_meter import FlowMeter
from inoculate.features.flows.flow_schema import complete
from inoculate.features.flows.flow_state import State
from inoculate.features.flows.host_context import HostContext
from inoculate.features.flows.packets import LINK_TYPES, FragmentPorts, decode
from inoculate.reading.captures import Records, is_capture, read_records

_MOST_ROWS = 100_000


class Pcap(FlowDomain):
    """Flows of a pcap or pcapng capture, also one that is still being written.

    Args:
        idle_timeout_s: a flow quiet for so long is over; above 0.
        active_timeout_s: a flow as old as this is cut; at least the idle timeout.
        tcp_close: whether FIN, RST and SYN end flows.
        block_bytes: how much is read at once; flows do not depend on it.

    Attributes:
        skipped: of the read begun last, how many packets were ``not IP`` or ``undecodable``
            (headers cut off or contradicting themselves), and how many flows were ``given
            early`` because too many were open.

    Raises:
        InputError: timeouts that cannot be.
    """

    def __init__(
        self,
        *,
        idle_timeout_s: float = 120.0,
        active_timeout_s: float = 1800.0,
        tcp_close: bool = True,
        block_bytes: int = 8 << 20,
    ) -> None:
        if not 0 < idle_timeout_s <= active_timeout_s <= 1e8:
            problem = f"idle timeout {idle_timeout_s} s, active timeout {active_timeout_s} s"
            raise InputError(f"{problem}; expected 0 < idle <= active <= 1e8")
        self.idle_timeout_s = idle_timeout_s
        self.active_timeout_s = active_timeout_s
        self.tcp_close = tcp_close
        self.block_bytes = block_bytes
        self.skipped: dict[str, int] = {}

    def sniff(self, source: Source) -> float:
        """Return 1 for the magic numbers of pcap and pcapng, else 0."""
        return float(is_capture(source.head))

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield flows as they are over; at the end those still open.

        Raises:
            RecordError: through ``on_bad``, for each link type that cannot be decoded and for a
                capture cut short; directly, for what is no capture or not one any more. Flows
                of all whole packets before that were yielded.
        """
        reading = _Reading(self, source.name, on_bad)
        self.skipped = reading.skipped
        failure: RecordError | None = None
        try:
            for records in read_records(source.stream, source.name, block_bytes=self.block_bytes):
                yield from reading.batches(reading.add(records))
        except RecordError as err:
            failure = err
        yield from reading.batches(reading.meter.flush())
        if isinstance(failure, TruncatedError):
            on_bad(failure)
        elif failure is not None:
            raise failure


class _Reading:
    """The state of one read."""

    def __init__(self, domain: Pcap, name: str, on_bad: OnBad) -> None:
        self.name = name
        self.on_bad = on_bad
        self.skipped = {"not IP": 0, "undecodable": 0, "given early": 0}
        self.meter = FlowMeter(
            idle_timeout_s=domain.idle_timeout_s,
            active_timeout_s=domain.active_timeout_s,
            tcp_close=domain.tcp_close,
            salt=secrets.randbits(64),
        )
        self._context = HostContext()
        self._fragments = FragmentPorts()
        self._before = 0
        self._refused: set[int] = set()

    def add(self, records: Records) -> State:
        """Return the flows that are over after these packets."""
        self._refuse_links(records)
        found = decode(records.data, records.start, records.captured, records.wire, records.link)
        self._fragments.fill(found.packets)
        self.skipped["not IP"] += found.not_ip
        self.skipped["undecodable"] += found.undecodable
        row = found.packets.row
        over = self.meter.add(
            found.packets, records.time_us[row], row + self._before + 1, records.data
        )
        self._before += len(records)
        self.skipped["given early"] = self.meter.given_early
        return over

    def _refuse_links(self, records: Records) -> None:
        for link in np.flatnonzero(np.bincount(records.link)).tolist():
            if link not in LINK_TYPES and link not in self._refused:
                self._refused.add(link)
                row = int(np.argmax(records.link == link))
                problem = f"link type {link} is not read; have {sorted(LINK_TYPES)}"
                self.on_bad(RecordError(problem, origin=f"{self.name}#{self._before + row + 1}"))

    def batches(self, over: State) -> Iterator[Batch]:
        """Yield these flows completed, at most ``_MOST_ROWS`` a batch."""
        for first in range(0, len(over["key"]), _MOST_ROWS):
            part = {k: v[first : first + _MOST_ROWS] for k, v in over.items()}
            frame = flow_frame(part, self.name, self.meter.tick_us)
            yield Batch(complete(frame, self._context))
