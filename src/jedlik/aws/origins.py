"""The web pages that may use the server, and the names by which they may reach it.

A signature is no ambient authority: a page without a key can sign nothing. So if signatures are verified, every origin
is served, as on AWS. If not, everybody who reaches the server may do everything, and a page from anywhere reaches the
loopback address of its reader: by a request, or under a name that leads there (DNS rebinding). So then the Host must be
a loopback name or one that the settings allow, and a page must come from the server itself, from this machine, or from
an origin that they allow. Others are refused before anything is done: a page changes the data even if it cannot read
the answer. A browser sends no Origin with the GET of an image or a link: Sec-Fetch-Site shows where that comes from. It
may open the server's own page, but call no operation.

Sources: the Fetch standard (CORS); W3C, Fetch Metadata Request Headers; RFC 6761 and RFC 5735 for the names and
addresses that are loopback.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable
from typing import Protocol, TypeVar

from jedlik.aws.errors import AccessDeniedException

EXPOSED = b"Access-Control-Expose-Headers: x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date\r\n"
ANYBODY = b"Access-Control-Allow-Origin: *\r\n" + EXPOSED

KNOWN = 1024
"""Values of Host, and of Origin with Host, that are remembered as allowed."""
SHOWN = 255
"""Characters of a name that a refusal shows."""

OTHER_SITES = {b"cross-site", b"same-site"}
"""Values of Sec-Fetch-Site for requests of pages that are not the server's own."""

Headers = dict[bytes, bytes]
T = TypeVar("T")


class Origins(Protocol):
    """Who may ask."""

    known_hosts: Container[bytes] | None
    """Known values of Host for which a request without an Origin is served; None if all are."""

    def refusal(self, headers: Headers) -> AccessDeniedException | None:
        """The reason why a request with these headers is refused; None if it is served."""
        ...

    def linked_refusal(self, headers: Headers) -> AccessDeniedException | None:
        """The reason why a request that a page can make without an Origin, like a GET, may not call an operation."""
        ...

    def allowance(self, headers: Headers) -> bytes:
        """The lines of an answer that let a page from the request's Origin read it."""
        ...


class AnyOrigin:
    """The rule if signatures are verified: everybody with a key is served."""

    known_hosts: Container[bytes] | None = None

    def refusal(self, headers: Headers) -> AccessDeniedException | None:
        """None."""
        return None

    def linked_refusal(self, headers: Headers) -> AccessDeniedException | None:
        """None."""
        return None

    def allowance(self, headers: Headers) -> bytes:
        """The lines that let any page read the answer."""
        return ANYBODY


class OwnOrigins:
    """The rule if signatures are not verified: this machine is served, and the additions in the settings."""

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._hosts = frozenset(map(plain, hosts))
        self._origins = frozenset(origins)
        self._hosts_seen: set[bytes] = set()
        self.known_hosts: Container[bytes] | None = self._hosts_seen
        self._known: set[tuple[bytes, bytes]] = set()
        """Origins with Host that have been checked and allowed."""

    def refusal(self, headers: Headers) -> AccessDeniedException | None:
        """The reason why a request is refused: its Host is no name of this machine, or its Origin is foreign."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if origin is None:
            if host in self._hosts_seen:
                return None
        elif (origin, host) in self._known:
            return None
        # A browser always sends a Host. A client without one is not a browser, and the name does not matter.
        if host and not self._is_own(host_of(host.decode("latin-1"))):
            return refused("answers to names of this machine", host, "--allowed-hosts", host_of(host.decode("latin-1")))
        if origin is not None and not self._may_ask(origin.decode("latin-1"), host.decode("latin-1")):
            return refused("serves web pages of this machine", origin, "--allowed-origins", origin.decode("latin-1"))
        if len(host) + len(origin or b"") <= SHOWN:
            if origin is None:
                remember(self._hosts_seen, host)
            else:
                remember(self._known, (origin, host))
        return None

    def linked_refusal(self, headers: Headers) -> AccessDeniedException | None:
        """The reason why a request is refused that comes from an image, a form or a link of another site's page.

        Browsers send no Origin with these, but the relation of the two sites (W3C, Fetch Metadata). A page of another
        port of this machine counts as one of the same site; it can send its Origin (`fetch`).
        """
        site = headers.get(b"sec-fetch-site")
        if site not in OTHER_SITES or b"origin" in headers:
            return None
        return AccessDeniedException(
            "With --auth off Jedlik serves web pages of this machine only, and a browser sent this request for another "
            f"page, without its Origin (Sec-Fetch-Site: {site.decode()})."
        )

    def allowance(self, headers: Headers) -> bytes:
        """The lines that let an allowed page read the answer."""
        return b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n%b" % (headers[b"origin"], EXPOSED)

    def _is_own(self, name: str | None) -> bool:
        return name is not None and (name in self._hosts or is_loopback(name))

    def _may_ask(self, origin: str, host: str) -> bool:
        if origin in self._origins:
            return True
        scheme, found, authority = origin.partition("://")
        if not found or scheme not in ("http", "https"):
            return False
        name = host_of(authority)
        return name is not None and (is_loopback(name) or authority.lower() == host.lower())


def remember(known: set[T], one: T) -> None:
    """Remember an allowed one. Strangers may send any number of these."""
    if len(known) >= KNOWN:
        known.clear()
    known.add(one)


def host_of(authority: str) -> str | None:
    """The name or address of `name`, `name:port` or `[address]:port`, in the form for comparison; None for others."""
    if authority.startswith("["):
        name, bracket, port = authority[1:].partition("]")
        if not bracket or not (port == "" or port.startswith(":")):
            return None
        port = port[1:]
    else:
        name, _, port = authority.partition(":")
    if not name or (port and not (port.isascii() and port.isdigit())) or not set(name).isdisjoint("/@,;?# \t\\"):
        return None
    return plain(name)


def plain(name: str) -> str:
    """A name in the form for comparison: in small letters, without the dot at the end."""
    return name.strip().strip("[]").lower().removesuffix(".")


def is_loopback(name: str) -> bool:
    """Whether a name or an address is of this machine by its form alone: nothing is looked up."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refused(does: str, given: bytes, option: str, wanted: str | None) -> AccessDeniedException:
    """The refusal, with its remedy."""
    shown = given.decode("latin-1")[:SHOWN]
    remedy = f" If it is one of yours, start Jedlik with {option} {wanted[:SHOWN]}" if wanted else ""
    return AccessDeniedException(f"With --auth off Jedlik {does} only, and '{shown}' is none.{remedy}")
