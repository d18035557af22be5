"""Flow states as a table in the canonical schema."""

from functools import cache
from ipaddress import IPv6Address

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.features.flows.flow_state import SIDES, SIZES, State, spread
from inoculate.features.flows.packets import ICMP, ICMP6, TCP, UDP, Ints

_NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp6"}

Floats = npt.NDArray[np.float64]


def flow_frame(state: State, name: str, tick_us: int) -> pl.DataFrame:
    """Return origin, ts, identity and base columns of flows, one row each, in their order.

    Args:
        state: n flows.
        name: of the source; an origin is ``name#number of the flow's first packet``.
        tick_us: length of a tick of the states' times.
    """
    number = pl.Series("origin", state["number"]).cast(pl.String)
    origin = pl.select(pl.format("{}#{}", pl.lit(name), number)).to_series()
    columns = {
        "origin": origin.alias("origin"),
        "ts": state["time_us"] / 1e6,
        **_identity(state),
        **_counts(state),
        **_lengths(state),
        **_gaps(state, tick_us),
        **_ending(state),
    }
    return pl.DataFrame(columns)


def _identity(state: State) -> dict[str, pl.Series | Ints]:
    tag = state["tag"]
    ports = [(tag >> np.uint64(shift) & np.uint64(0xFFFF)).astype(np.int64) for shift in (48, 32)]
    a = address_strings(state["a_hi"], state["a_lo"])
    b = address_strings(state["b_hi"], state["b_lo"])
    swap = state["orig_side"] == 1
    mask = pl.Series(swap)
    names = pl.Series([_NAMES.get(p, str(p)) for p in range(256)])
    return {
        "orig_h": b.zip_with(mask, a),
        "orig_p": np.where(swap, ports[1], ports[0]),
        "resp_h": a.zip_with(mask, b),
        "resp_p": np.where(swap, ports[0], ports[1]),
        "proto": names.gather(_proto(state)),
    }


def _proto(state: State) -> Ints:
    return (state["tag"] >> np.uint64(24) & np.uint64(0xFF)).astype(np.int64)


def _counts(state: State) -> dict[str, Floats | Ints]:
    proto = _proto(state)
    columns: dict[str, Floats | Ints] = {
        "tcp": proto == TCP,
        "udp": proto == UDP,
        "icmp": (proto == ICMP) | (proto == ICMP6),
    }
    for side in SIDES:
        columns[f"{side}_pkts"] = state[f"{side}_pkts"]
        columns[f"{side}_bytes"] = state[f"{side}_bytes"]
        columns[f"{side}_ip_bytes"] = state[f"{side}_ip"]
        columns[f"{side}_data_pkts"] = state[f"{side}_data"]
        columns[f"{side}_entropy"] = state[f"{side}_entropy"]
        columns[f"{side}_printable"] = state[f"{side}_printable"]
    columns["fin"] = state["orig_fin"] + state["resp_fin"]
    columns.update({k: state[k] for k in ("syn", "rst", "psh", "ack", "urg")})
    columns.update({k: np.where(state[k] != 0, state[k], np.nan) for k in SIZES})
    return {k: v.astype(np.float64) for k, v in columns.items()}


def _lengths(state: State) -> dict[str, Floats]:
    parts = {
        f"{side}_len": [state[f"{side}_{k}"] for k in ("pkts", "bytes", "squares")]
        + [state[f"{side}_len_min"], state[f"{side}_len_max"]]
        for side in SIDES
    }
    ours, theirs = parts["orig_len"], parts["resp_len"]
    both = [a + b for a, b in zip(ours[:3], theirs[:3], strict=True)]
    both += [np.minimum(ours[3], theirs[3]), np.maximum(ours[4], theirs[4])]
    columns = {}
    for prefix, values in {**parts, "len": both}.items():
        columns.update(_spread(prefix, *values, unit=1.0))
    return columns


def _gaps(state: State, tick_us: int) -> dict[str, Floats]:
    ticks_per_s = 1e6 / tick_us
    lasted = state["last"] - state["first"]
    columns = {"duration": lasted / ticks_per_s}
    count = state["orig_pkts"] + state["resp_pkts"]
    groups = {"iat": ("", count, lasted)}
    for side in SIDES:
        spanned = state[f"{side}_last"] - state[f"{side}_first"]
        groups[f"{side}_iat"] = (f"{side}_", state[f"{side}_pkts"], spanned)
    for name, (prefix, packets, total) in groups.items():
        values = (state[f"{prefix}{k}"] for k in ("gap2", "gap_min", "gap_max"))
        columns.update(_spread(name, packets - 1, total, *values, unit=ticks_per_s))
    return columns


def _spread(
    prefix: str, count: Ints, total: Ints, squares: Ints, least: Ints, most: Ints, *, unit: float
) -> dict[str, Floats]:
    mean, std = spread(count, total, squares)
    return {
        f"{prefix}_min": np.where(count > 0, least / unit, np.nan),
        f"{prefix}_mean": mean / unit,
        f"{prefix}_std": std / unit,
        f"{prefix}_max": np.where(count > 0, most / unit, np.nan),
    }


def _ending(state: State) -> dict[str, Floats]:
    tcp = _proto(state) == TCP
    answered = state["resp_pkts"] > 0
    agreed = state["resp_agreed"] > 0
    talked = agreed | ((state["orig_data"] > 0) & (state["resp_data"] > 0))
    sent = state["orig_pkts"] > 0
    flags = {
        "failed": np.where(tcp, (state["orig_asked"] > 0) & ~talked, ~answered),
        "established": np.where(tcp, talked, sent & answered),
        "reset": state["rst"] > 0,
        "closed": (state["orig_fin"] > 0) & (state["resp_fin"] > 0),
    }
    return {k: v.astype(np.float64) for k, v in flags.items()}


@cache
def _pairs() -> pl.Series:
    """Return the 65,536 texts of two octets, ``0.0`` to ``255.255``."""
    return pl.Series([f"{i >> 8}.{i & 255}" for i in range(65_536)])


def address_strings(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> pl.Series:
    """Return addresses as text; ::ffff:0:0/96 as IPv4.

    Args:
        high: (n,) the first 64 bits.
        low: (n,) the last 64 bits.
    """
    octets = [
        _pairs().gather((low >> np.uint64(k) & np.uint64(0xFFFF)).astype(np.uint32))
        for k in (16, 0)
    ]
    text = pl.select(pl.concat_str(octets, separator=".")).to_series()
    six = np.flatnonzero((high != 0) | (low >> np.uint64(32) != 0xFFFF))
    if not len(six):
        return text
    pairs = np.stack([high[six], low[six]], axis=1)
    unique, which = np.unique(pairs, axis=0, return_inverse=True)
    names = [str(IPv6Address(hi << 64 | lo)) for hi, lo in unique.tolist()]
    return text.scatter(six, pl.Series(names).gather(which.reshape(-1)))
