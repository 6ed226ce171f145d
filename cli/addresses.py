"""Addresses, and whether a secret may be sent there."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_private(url: str) -> bool:
    """Whether nobody reads along: it is http or https on this machine, or https elsewhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))


def origin_of(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def is_same_place(url: str, other: str) -> bool:
    """Whether two addresses are of one origin; the names of this machine are one."""
    if origin_of(url) == origin_of(other):
        return True
    return is_loopback(url) and is_loopback(other) and urlsplit(url).port == urlsplit(other).port
