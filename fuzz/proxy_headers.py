"""What a trusted proxy may send first: it is a header and names a client or nobody, or it is refused by name.

What holds: nothing else is raised; no more is waited for than the limit; the name is an address in the form that
policies compare; and a header that is accepted is, written again, the same as far as it counts.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from fuzz.choices import Choices
from fuzz.service import Finding
from jedlik.wire.proxy_header import FIRST, LONGEST, SIGNATURE, NotAHeader, announced, client_of
from testing.proxies import header

PIECES = (
    *(SIGNATURE, SIGNATURE[:-1], b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", b"\x20", b"\x21", b"\x11", b"\x12", b"\x22"),
    *(
        b"\x31",
        b"\x00\x0c",
        b"\x00\x24",
        b"\xff\xff",
        b"\x00" * 12,
        b"\xff" * 16,
        IPv6Address("::ffff:10.1.2.3").packed,
    ),
    *(b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"),
)
HEADERS = (
    header("10.1.2.3"),
    header("2001:db8::1"),
    header("::ffff:10.1.2.3"),
    header(None),
    header("10.1.2.3", b"x" * 300),
)
CHANGES = 4


def attempt(data: bytes) -> None:
    """A header with some changes."""
    choices = Choices(data)
    sent = bytearray(choices.one_of(HEADERS))
    for _ in range(choices.below(CHANGES + 1)):
        at = choices.below(len(sent) + 1)
        sent[at : at + choices.below(8)] = choices.one_of(PIECES) if choices.below(2) else choices.take(2)
    first = bytes(sent[:FIRST])
    if len(first) < FIRST:
        return  # More is waited for.
    try:
        family, length = announced(first)
    except NotAHeader as refusal:
        if not str(refusal):
            raise Finding("a refusal without a reason") from refusal
        return
    if not first.startswith(SIGNATURE) or not 0 <= length <= LONGEST:
        raise Finding(f"a header that is none, with {length} bytes")
    rest = bytes(sent[FIRST : FIRST + length])
    if family is None or len(rest) < length:
        return
    client = client_of(family, rest)
    address = ip_address(client)
    if str(address) != client or getattr(address, "ipv4_mapped", None) is not None:
        raise Finding(f"an address in another form: {client}")
    again = announced(header(client)[:FIRST])
    if again.family is None or client_of(again.family, header(client)[FIRST:]) != client:
        raise Finding(f"{client} is another one when it is sent again")


SEEDS = [bytes((number, 0)) for number in range(len(HEADERS))] + [
    bytes((number, 2, at, piece, 1, piece, 12, 1, 0, piece + 1, 7, 7))
    for number in range(len(HEADERS))
    for at in (0, 12, 13, 14, 16)
    for piece in range(len(PIECES))
]
