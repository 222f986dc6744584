"""Addresses and names of machines: their form, and whether they lead to this one."""

from __future__ import annotations

import ipaddress
import socket


class Unknown(Exception):
    """A name has no address. The message is the system's."""


def is_ipv6(text: str) -> bool:
    """Whether a text is an IPv6 address, in brackets or without."""
    try:
        ipaddress.IPv6Address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        return False
    return True


def is_address(text: str) -> bool:
    """Whether a text is an IP address, without brackets."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, can be reached from this machine only. Raises Unknown."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # A name may be none that DNS can carry.
        raise Unknown(getattr(error, "strerror", str(error))) from error
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)


def is_loopback_itself(host: str) -> bool:
    """Whether `host` is a loopback address or localhost. Another name may mean another machine tomorrow."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
