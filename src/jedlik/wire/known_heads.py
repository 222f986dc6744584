"""Request heads that look like an earlier one: one regular expression reads them instead of the parser.

A client sends the same headers with each request, in the same order, and most with the same values: of an AWS SDK's
dozen, only the time, signature, operation, length and request number change. So a parsed head becomes a pattern: values
that have changed before are open, everything else is literal. Every head that a pattern matches would also have passed
the parser, with the same result (RFC 9112):

- A pattern is learned only from a head that the parser has accepted, and only if splitting its lines gives the parser's
  result.
- A header that decides how a message is read or answered is never part of a pattern (`DECISIVE`), or only literally
  (`Connection: keep-alive`). A host has no comma. The head comes with its whole body or with none of it (boto3 sends
  the body separately), and nothing follows.
- An open value has printable characters only and no space at either end: the parser takes such values unchanged.

A head that does not match goes to the parser. Patterns belong to the worker, not to a connection, so a new connection
of a known kind of client profits at once. Their number is limited, and so is how many are made in a second, since
strangers can cause new ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from jedlik.memory import KIB
from jedlik.wire.messages import HeadForm, Limits, Request

LONGEST = 4 * KIB
"""The longest head that is learned, in bytes. An SDK's has a quarter of that, or half with a session token."""
PATTERNS = 64
"""Patterns that are kept at a time. A client library needs a few."""
LESSONS = 4
"""Patterns that may be made in a second, on average: each takes half a millisecond."""
SAVED_LESSONS = 32
"""Patterns that may be made at once after quiet seconds: a pattern is made again whenever one more value turns out to
change."""

CONTENT_LENGTH = b"content-length"
CONNECTION = b"connection"
DECISIVE = {b"expect", b"proxy-connection", b"trailer", b"transfer-encoding", b"upgrade"}
"""Headers that only the parser deals with."""

VALUE = rb"([!-~][ -~]*+(?<! ))"
OPEN = {b"host": rb"([!-+\--~]++)", CONTENT_LENGTH: rb"([0-9]{1,8}+)"}
"""Patterns of values that change, where they are not VALUE."""


class KnownHead:
    """The pattern of the heads of one kind of client."""

    __slots__ = ("_fixed", "_form", "_length", "_lines", "_match", "_method", "_open", "_start", "_target")

    def __init__(self, method: bytes, target: bytes, lines: list[tuple[bytes, bytes]]) -> None:
        self._method = method
        self._target = target
        self._start = b"%b %b HTTP/1.1\r\n" % (method, target)
        self._lines = {name.lower(): (name, value) for name, value in lines}
        self._fixed = {name: value for name, (_, value) in self._lines.items()}
        self._open = [CONTENT_LENGTH]
        self._make()

    def read(self, data: bytes) -> tuple[Request, int] | None:
        """The request at the start of `data`, and how many bytes of its body are missing: none, or all.

        None if the head does not match, or if more follows the request.
        """
        found = self._match(data)
        if found is None:
            return None
        values = found.groups()
        body = data[found.end() :]
        missing = int(values[self._length]) - len(body)
        if missing and (body or missing < 0):
            return None
        return Request(self._method, self._target, None, b"", body, self._form, values), missing

    def differing(self, headers: dict[bytes, bytes]) -> set[bytes]:
        """The names whose values differ from the pattern's."""
        return {name for name, value in self._fixed.items() if headers[name] != value}.difference(self._open)

    def open(self, names: Iterable[bytes]) -> None:
        """Leave open what values these have."""
        self._open = [name for name in self._fixed if name in names or name in self._open]
        self._make()

    def _make(self) -> None:
        lines = [
            b"%b: %b\r\n" % (re.escape(name), OPEN.get(key, VALUE) if key in self._open else re.escape(value))
            for key, (name, value) in self._lines.items()
        ]
        self._match = re.compile(re.escape(self._start) + b"".join(lines) + b"\r\n").match
        self._length = self._open.index(CONTENT_LENGTH)
        self._form = HeadForm(self._method, self._target, self._fixed, self._open)


class KnownHeads:
    """The kinds of heads that a worker knows."""

    def __init__(self, limits: Limits) -> None:
        self.longest = min(limits.head, limits.body)
        """A message of at most this many bytes is within the limits, however it is divided."""
        self._most_headers = limits.headers
        self._known: dict[bytes, KnownHead] = {}
        """Keyed by the request line and the header names; the most recently used come last."""
        self._lessons = SAVED_LESSONS

    def renew(self) -> None:
        """A second has passed: more may be learned."""
        self._lessons = min(self._lessons + LESSONS, SAVED_LESSONS)

    def learn(self, head: bytes, request: Request) -> KnownHead | None:
        """The pattern for heads like this one, or None if it cannot be learned.

        The parser has made `request` of it.
        """
        lines = _lines(head, request)
        if lines is None or len(lines) > self._most_headers:
            return None
        kind = b"\n".join((request.method, request.target, *[name for name, _ in lines]))
        known = self._known.pop(kind, None)
        if known is None:
            if not self._lessons:
                return None
            self._lessons -= 1
            known = KnownHead(request.method, request.target, lines)
        self._known[kind] = known
        if len(self._known) > PATTERNS:
            del self._known[next(iter(self._known))]
        differing = known.differing(request.headers)
        if differing and self._lessons and CONNECTION not in differing:
            self._lessons -= 1
            known.open(differing)
        return known


def _lines(head: bytes, request: Request) -> list[tuple[bytes, bytes]] | None:
    """Names (as sent) and values of these lines of a head, if they agree with the parser's result."""
    headers = request.headers
    start, *lines = head.split(b"\r\n")
    if len(head) > LONGEST or start != b"POST %b HTTP/1.1" % request.target or lines[-2:] != [b"", b""]:
        return None
    parts = [line.partition(b": ") for line in lines[:-2]]
    if len(parts) != len(headers) or any(headers.get(name.lower()) != value for name, _, value in parts):
        return None
    if (
        not headers.keys().isdisjoint(DECISIVE)
        or CONTENT_LENGTH not in headers
        or b"host" not in headers
        or headers.get(CONNECTION, b"keep-alive").lower() != b"keep-alive"
    ):
        return None
    return [(name, value) for name, _, value in parts]
