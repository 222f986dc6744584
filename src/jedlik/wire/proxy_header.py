"""The header by which a trusted proxy names its client before anything else: the PROXY protocol, version 2.

    signature (12)  version and command (1)  family and transport (1)  length (2)  addresses  further fields

Source: "The PROXY protocol, versions 1 & 2" (proxy-protocol.txt of HAProxy), 2.2. Nobody guesses whether there is one:
a connection from a trusted address begins with it, and one from any other does not. The further fields, such as what
the proxy knows of its own TLS, are skipped, and a checksum among them is not verified. Version 1 is refused: it is
text whose length shows only once it has been read.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from jedlik.memory import KIB

Proxies = tuple[IPv4Network | IPv6Network, ...]
"""The addresses that are trusted."""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIRST = 16
"""Bytes after which it is known how many follow."""
LONGEST = 4 * KIB
"""Addresses take 36 bytes, and a certificate among the further fields some 2,000."""
VERSION_1 = b"PROXY "

_VERSION = 2
_LOCAL, _PROXY = 0, 1
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESSES = {_TCP4: 12, _TCP6: 36}
"""Bytes of both addresses and ports; the client's is the first."""


class NotAHeader(Exception):
    """A proxy has sent something else; the message is for its operator."""


class Announced(NamedTuple):
    """What the first bytes announce."""

    family: int | None
    """That of the client's address; None if the proxy speaks for itself, to look whether the server is well."""
    length: int
    """Bytes that follow."""


def is_trusted(address: str, proxies: Proxies) -> bool:
    """Whether an address, as a socket has it, is that of a trusted proxy."""
    found = ip_address(address)
    return any(found in network for network in proxies)


def announced(first: bytes) -> Announced:
    """What the first bytes of a connection announce. Raises NotAHeader."""
    if not first.startswith(SIGNATURE):
        if first.startswith(VERSION_1):
            raise NotAHeader("it speaks version 1 of the PROXY protocol, and has to send version 2")
        raise NotAHeader("its connection does not begin with a header of the PROXY protocol")
    version, command = divmod(first[12], 16)
    family, length = first[13], int.from_bytes(first[14:16], "big")
    if version != _VERSION or command not in (_LOCAL, _PROXY):
        raise NotAHeader(f"its header has version {version} and command {command}")
    if length > LONGEST:
        raise NotAHeader(f"its header has {length} bytes, and may have {LONGEST}")
    if command == _LOCAL:
        return Announced(None, length)
    if family not in _ADDRESSES:
        raise NotAHeader(f"its header names no client of TCP, but one of kind {family:#04x}")
    if length < _ADDRESSES[family]:
        raise NotAHeader("its header is too short for the addresses")
    return Announced(family, length)


def client_of(family: int, rest: bytes) -> str:
    """The client that a header names, given what follows its first bytes. An IPv4 address that is written as one of
    IPv6 is one of IPv4, for policies."""
    if family == _TCP4:
        return str(IPv4Address(rest[:4]))
    address = IPv6Address(rest[:16])
    return str(address.ipv4_mapped or address)
