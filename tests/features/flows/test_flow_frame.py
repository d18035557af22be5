"""Addresses as text."""

from ipaddress import ip_address

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inoculate.features.flows.flow_frame import address_strings

MAPPED = 0xFFFF << 32


@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), min_size=1, max_size=20))
def test_addresses_of_both_versions_become_their_usual_text(addresses):
    values = [int(a) | (MAPPED if a.version == 4 else 0) for a in addresses]
    high = np.array([v >> 64 for v in values], np.uint64)
    low = np.array([v & (1 << 64) - 1 for v in values], np.uint64)
    found = address_strings(high, low).to_list()
    for address, value, text in zip(addresses, values, found, strict=True):
        mapped = value >> 32 == 0xFFFF
        assert text == str(ip_address(value & 0xFFFFFFFF) if mapped else address)


def test_no_address_gives_no_text():
    assert len(address_strings(np.empty(0, np.uint64), np.empty(0, np.uint64))) == 0
