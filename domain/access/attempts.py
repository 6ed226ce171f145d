"""How many wrong proofs of who somebody is one address may send."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

MOST_FAILED = 20
"""Different wrong proofs that one address may send in a window. Nobody guesses 256 bits; this bounds what trying costs,
and shows in the log who tries."""
MOST_STARTED = 60
"""Sign-ins that one address may begin in a window: an office behind one address begins its day within it."""
WINDOW_SECONDS = 60
_SUBSCRIBER = 64
"""Bits of an IPv6 address that are one subscriber's; the rest they choose themselves."""


def network_of(host: str) -> str:
    """What one caller has for themselves: an address, of IPv6 a whole network."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    rest = 128 - _SUBSCRIBER
    return f"{IPv6Address(int(address) >> rest << rest)}/{_SUBSCRIBER}"
