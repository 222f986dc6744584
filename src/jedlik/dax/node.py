"""A node: knows who asks, answers what it has in its caches, and has the data plane do the rest.

The answer to a hit is found by the bytes of the request as they came. A request that has had a hit lately is known as a
whole, with its entry. For another, the bytes of table and key are the entry's key, so nothing is parsed. A request in
another form than the usual one (a number written in another way, a long head) misses here, and hits when it has been
read.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import socket
import time
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from jedlik.aws import answers, metrics
from jedlik.aws.access import Scope
from jedlik.aws.context import PARTITION, Caller, root
from jedlik.aws.errors import InternalServerError, ServiceError, ServiceUnavailable, ValidationException
from jedlik.aws.protocols import cbor_values
from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.aws.routing import Authenticator
from jedlik.dax import call_parameters, wire_errors, wire_values
from jedlik.dax.access_log import AccessLog
from jedlik.dax.cache import Entry
from jedlik.dax.call_parameters import CallParameters
from jedlik.dax.cluster_access import ClusterAccess
from jedlik.dax.counting import NodeCounts
from jedlik.dax.methods import METHODS, Method
from jedlik.dax.node_board import ANY_STORE, NodeBoard, NodeName
from jedlik.dax.plane import Asker, Call, Plane
from jedlik.dax.results_on_the_wire import SUCCESS
from jedlik.dax.wire_errors import NotAuthenticated
from jedlik.dax.wire_keys import ITEMS
from jedlik.storage.engine import StorageError
from jedlik.wire.messages import Request, Source

log = logging.getLogger(__name__)

GET_ITEM = b"\x01\x1a\x0f\xb0\xcc\x6a"
"""What a getItem begins with: service and method."""
_AFTER = len(GET_ITEM)
MOST_KNOWN = 1024
"""Forms of a getItem's parameters that are remembered, and askers."""
LONGEST_KNOWN = 512
"""Bytes of such a form, and of a request that is known as a whole."""
MOST_READY = 16_384
"""Requests that are known as wholes: some 5 MB, beside the cache."""
HOSTS = (b"dax.amazonaws.com", b"https://dax.amazonaws.com")
"""Which host the clients sign; that for Go has the scheme in it."""
_WORD = re.compile(r"[!-+\--~]{1,200}")
"""What may stand in an Authorization header, between the commas."""
NO_BODY = hashlib.sha256(b"").hexdigest()
LEADER, REPLICA = 1, 2
NOT_AUTHENTICATED = 400
"""The status in HTTP that goes with it."""
AUTHORIZED_SECONDS = 300.0
"""How long an authorization is good; clients renew it after 150 or 225."""
EMPTY = b""


Ready = tuple[tuple[str, str], Entry, bytes]
"""What a request asks for: whose entries, which of them, and which of its answers."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands among the others."""

    name: NodeName
    board: NodeBoard
    announced: str | None = None
    """The address by which clients reach the nodes, if it is another than that to which they come."""


class Node:
    """One node of a cluster."""

    def __init__(
        self,
        plane: Plane,
        authenticator: Authenticator,
        place: Place,
        account: str,
        access: ClusterAccess | None = None,
        requests: AccessLog | None = None,
    ) -> None:
        """`access` is given where signatures are verified, and `requests` where they are logged."""
        self._plane = plane
        self._cache = plane.cache
        self._authenticator = authenticator
        self._place = place
        self._access = access
        self._log = requests
        self._account = account
        """The server's own."""
        self._request_ids = answers.request_ids()
        self._askers: dict[tuple[object, ...], Asker] = {}
        self._counts: WeakValueDictionary[tuple[str, str], NodeCounts] = WeakValueDictionary()
        """Those of everybody who is known. A stranger may name any account where signatures are not verified."""
        metrics.current().when_moved(self._look_up_counts)
        self._variants: dict[bytes, bytes | None] = {b"\xf6": EMPTY}
        """What a getItem's parameters ask of the cache: a projection, empty for none; None for a read that passes
        by."""
        self._ready: dict[bytes, Ready] = {}
        """Requests that have had a hit lately, as wholes."""

    # Who asks

    @property
    def authorized_seconds(self) -> float:
        """How long an authorization is good."""
        return math.inf if self._access is None else AUTHORIZED_SECONDS

    def anybody(self, source: Source, agent: str) -> Asker:
        """Who asks without an authorization. Raises NotAuthenticated where one is needed."""
        return self._asker(Request(b"POST", b"/", {}), source, agent)

    def identify(self, arguments: list[Any], source: Source, agent: str) -> Asker:
        """Who has sent these arguments of authorizeConnection. Raises NotAuthenticated.

        What was signed is the same for all, but for the time: a POST of nothing to DAX's own address.
        """
        access_key, signature, to_sign, token, _ = arguments
        if not (type(access_key) is str and type(signature) is str and type(to_sign) is bytes):
            raise NotAuthenticated("The authorization is malformed")
        lines = to_sign.decode("latin-1").split("\n")
        if len(lines) != 4 or not (token is None or type(token) is str):
            raise NotAuthenticated("The authorization is malformed")
        algorithm, date, scope, digest = lines
        if not all(map(_WORD.fullmatch, (algorithm, date, scope, access_key, signature))):
            raise NotAuthenticated("The authorization is malformed")
        authorization = (
            f"{algorithm} Credential={access_key}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}"
        )
        host = next((one for one in HOSTS if _digest(one, date) == digest), HOSTS[0])
        headers = {b"host": host, b"x-amz-date": date.encode("latin-1"), b"authorization": _raw(authorization)}
        if token is not None:
            headers[b"x-amz-security-token"] = _raw(token)
        return self._asker(Request(b"POST", b"/", headers), source, agent)

    def _asker(self, request: Request, source: Source, agent: str) -> Asker:
        try:
            signed = self._authenticator.signed(request, "dax")
        except ServiceError as error:
            raise NotAuthenticated(error.message, error.name) from None
        store = self._place.name.store
        if store not in (ANY_STORE, signed.store):
            raise NotAuthenticated(f"Cluster {self._place.name.cluster} is of region {store}, not of {signed.store}")
        selects_all = agent.startswith("DaxGo")
        key = (signed, source.address, source.listener, source.tls_subject, selects_all)
        known = self._askers.get(key)
        if known is not None:
            return known
        account = signed.store.rpartition("/")[0] or self._account
        who = signed.principal
        caller = Caller(
            account=account,
            principal=root(account) if who is None else who.arn,
            access_key=signed.access_key,
            session=signed.session,
            source_address=source.address,
            listener=source.listener,
            who=who,
            region=signed.region,
            scope=Scope(PARTITION, account, signed.region),
            tls_subject=source.tls_subject,
        )
        counts = self._counts.get((account, signed.region))
        if counts is None:
            counts = NodeCounts(account, signed.region, self._place.name.cluster, self._place.name.node)
            self._counts[account, signed.region] = counts
        if len(self._askers) >= MOST_KNOWN:
            self._askers.clear()
        permissions = None if self._access is None else self._access.permissions(caller)
        asker = self._askers[key] = Asker(
            signed.store, caller, selects_all, counts, (signed.store, ITEMS), permissions, self._access
        )
        return asker

    def _look_up_counts(self) -> None:
        for counts in list(self._counts.values()):
            counts.look_up()

    # Answers

    def hit(self, asker: Asker, data: bytes) -> bytes | None:
        """The answer to a whole request, if it is in the item cache and the request has its usual form."""
        ready = self._ready.get(data)
        if ready is None or not ready[1].answers or ready[0] != asker.items:
            ready = self._found(asker, data)
            if ready is None:
                return None
        if asker.permissions is not None and not asker.permissions.allow_get_item():
            return None
        answer = self._cache.again(ready[1], ready[2])
        if answer is not None:
            asker.counts.hits += 1
            if self._log is not None:
                self._log.note(asker, "GetItem", 0.0, (len(data), len(answer)), hit=True)
        return answer

    def _found(self, asker: Asker, data: bytes) -> Ready | None:
        """What a request asks for that is not known as a whole, if that is there. From now on the request is known."""
        if data[:_AFTER] != GET_ITEM:
            return None
        try:
            at = _passed(data, _passed(data, _AFTER))
        except IndexError:
            return None
        variant = self._variants.get(data[at:])
        entry = self._cache.entries.get((asker.items, data[_AFTER:at]))
        if variant is None or entry is None:
            return None
        ready = asker.items, entry, variant
        if len(data) <= LONGEST_KNOWN:
            if len(self._ready) >= MOST_READY:
                self._ready.clear()
            self._ready[data] = ready
        return ready

    async def answer(self, asker: Asker, number: int, arguments: list[Any], raw: bytes, size: int = 0) -> bytes:
        """The answer to a request of `size` bytes. `raw` is the last argument as it came."""
        method = METHODS[number]
        if self._log is None or method.operation is None:
            return (await self._counted(asker, method, arguments, raw, next(self._request_ids)))[0]
        started, request_id = time.perf_counter(), next(self._request_ids)
        answer, error = await self._counted(asker, method, arguments, raw, request_id)
        seconds = time.perf_counter() - started
        self._log.note(
            asker, method.operation, seconds, (size, len(answer)), request_id=request_id, error=error, hit=False
        )
        return answer

    def too_busy(self, asker: Asker, number: int) -> bytes:
        """The answer to a request that finds as many at work as there may be."""
        counts, operation = asker.counts, METHODS[number].operation
        counts.total.add(1)
        counts.throttled.add(1)
        if operation is not None:
            counts.requests[operation].add(1)
        return refusal(ServiceUnavailable("The server is too busy; try again"), next(self._request_ids))

    async def _counted(
        self, asker: Asker, method: Method, arguments: list[Any], raw: bytes, request_id: str
    ) -> tuple[bytes, str | None]:
        """The answer to a request, and the name of the error if it is one."""
        counts = asker.counts
        counts.total.add(1)
        if method.operation is not None:
            counts.requests[method.operation].add(1)
            if method.operation == "GetItem":
                self._remember(arguments[-1], raw)
        try:
            return await self._answered(method, Call(asker, arguments, request_id)), None
        except ServiceError as error:
            (counts.throttled if isinstance(error, ServiceUnavailable) else counts.errors).add(1)
            return refusal(error, request_id), error.name
        except Exception as error:
            counts.faults.add(1)
            fields = {"request_id": request_id, "method": method.operation}
            log.error("fault: %s", error, exc_info=None if isinstance(error, StorageError) else error, extra=fields)
            failure = InternalServerError("Internal server error")
            return refusal(failure, request_id), failure.name

    async def _answered(self, method: Method, call: Call) -> bytes:
        permissions = call.asker.permissions
        if permissions is not None:
            await permissions.check(method.operation, call.arguments)
        try:
            return await method.answer(self._plane, call)
        except NotCbor as error:
            raise ValidationException(f"The request is malformed: {error}") from None

    def _remember(self, given: Any, raw: bytes) -> None:
        """Remember what a getItem's parameters ask of the cache."""
        if len(raw) > LONGEST_KNOWN or raw in self._variants:
            return
        try:
            parameters = CallParameters(given)
            consistent = parameters.flag(call_parameters.CONSISTENT_READ)
            variant = parameters.raw(call_parameters.PROJECTION) or EMPTY
        except NotCbor:
            return
        if len(self._variants) >= MOST_KNOWN:
            self._variants.clear()
        self._variants[raw] = None if consistent else variant

    def not_authenticated(self, refusal: NotAuthenticated) -> bytes:
        """The answer to a request of nobody who is known."""
        return wire_errors.encoded(
            wire_errors.AUTHENTICATION, str(refusal), next(self._request_ids), refusal.name, NOT_AUTHENTICATED
        )

    def endpoints(self, address: str) -> bytes:
        """The nodes of the cluster that serve, as a client sees them that has come by this address of ours.

        The first of them is the primary. While it is being replaced, another is, if there is one.
        """
        name = self._place.name
        nodes = [
            (number, one)
            for number, one in enumerate(self._place.board.of(name.store, name.cluster), 1)
            if one.is_serving or one.name == name
        ]
        address = self._place.announced or address
        into = bytearray(SUCCESS)
        wire_values.array(len(nodes), into)
        for place, (number, one) in enumerate(nodes):
            role = REPLICA if place else LEADER
            members = (number, address, _packed(address), one.port, role, one.zone, 1)
            wire_values.pairs(len(members), into)
            for member, value in enumerate(members):
                wire_values.integer(member, into)
                cbor_values.write(value, into)
        return bytes(into)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def refusal(error: ServiceError, request_id: str) -> bytes:
    """The answer to a request that is refused."""
    reasons: list[Any] | None = None
    if "CancellationReasons" in error.fields:
        reasons = []
        for reason in error.fields["CancellationReasons"]:
            reasons += [reason["Code"], reason.get("Message"), reason.get("Item")]
    return wire_errors.encoded(
        wire_errors.codes_of(error), error.message, request_id, error.name, error.status, reasons
    )


def _passed(data: bytes, at: int) -> int:
    """Where the bytes value ends that begins here, if its head is the usual one. Raises IndexError."""
    head = data[at]
    if 0x40 <= head <= 0x57:
        return at + 1 + (head & 31)
    if head == 0x58:
        return at + 2 + data[at + 1]
    if head == 0x59:
        return at + 3 + (data[at + 1] << 8 | data[at + 2])
    raise IndexError


def _digest(host: bytes, date: str) -> str:
    """The hash of the canonical request, if this host was signed."""
    canonical = b"POST\n/\n\nhost:%b\nx-amz-date:%b\n\nhost;x-amz-date\n%b" % (host, _raw(date), NO_BODY.encode())
    return hashlib.sha256(canonical).hexdigest()


def _raw(text: str) -> bytes:
    return text.encode("latin-1", "replace")
