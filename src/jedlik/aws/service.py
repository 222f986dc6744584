"""A service as it declares itself: on this page is every place where something can be added to the house.

A service is one `Service`. The lists of operations, targets, key spaces, jobs, duties, checks and metrics are derived
from the declarations, and `process` puts the list of services together. The fields here show everything that can be
declared; the types of the declarations are in the modules that use them.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jedlik.aws.access import Access, Accesses, Forms, needs_nothing, no_form
from jedlik.aws.checks import Check
from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceError, UnknownOperationException
from jedlik.aws.metrics import Metric
from jedlik.aws.shapes import service_model
from jedlik.background import work
from jedlik.background.work import Duty, JobKind, Wanted, Work
from jedlik.config import Settings
from jedlik.regions import keyspaces, store_keys, table_keyring
from jedlik.regions.keyspaces import Keyspace
from jedlik.regions.region import Region

Handler = Callable[[Context, dict[str, Any]], Awaitable[Mapping[str, Any] | None]]
"""Does an operation. The shape of the request has been checked; what is returned is the answer's body, None for an
empty one."""


class Codec(Protocol):
    """How a service's requests are read and its answers written: one of `aws.protocols`, for one service."""

    default: bytes
    """The content type of an answer to a request without a body that names none."""
    headers: bytes
    """Header lines of every answer, beside those that `aws.answers` makes."""

    def content_type(self, given: bytes) -> bytes | None:
        """The content type of the answer to a request with this Content-Type, empty if it has none; None for a request
        that is not of this protocol."""
        ...

    def operation_of(self, parsed: Any) -> str:
        """The operation that a request names if no target does: the Action of a query. Raises the service's error."""
        ...

    def parsed(self, body: bytes) -> Any:
        """What a body holds, which need not be what any operation takes. Raises the service's own error.

        Apart from `checked`, because DynamoDB refuses what is no JSON before it looks for the operation, and because
        the words of a refusal may depend on the request (`Operation.reword`).
        """
        ...

    def checked(self, operation: str, parsed: Any) -> dict[str, Any]:
        """The request of an operation, whose shape is right: what was parsed, without what is null or unknown.

        May change what was parsed. Raises the service's own error.
        """
        ...

    def answer(self, operation: str, result: Mapping[str, Any] | None, request_id: str) -> bytes:
        """The body of an answer."""
        ...

    def error(self, error: ServiceError, request_id: str) -> tuple[int, bytes, bytes]:
        """Status, header lines (`headers` and more) and body of the answer that refuses a request."""
        ...


Validate = Callable[[Any], dict[str, Any]]
"""Checks the shape of a decoded body, which it may change, and returns the request. Raises what refuses it."""


def by_codec(request: Any) -> dict[str, Any]:
    """For operations whose requests the service's codec checks."""
    checked: dict[str, Any] = request
    return checked


class Begun(Protocol):
    """What a short handler has begun, and is not done yet."""

    @property
    def future(self) -> Future[Any]:
        """What it waits for."""
        ...

    def answer(self, done: Any) -> Mapping[str, Any]:
        """The answer's body, of what the future holds, which is charged."""
        ...

    def refusal(self, error: Exception) -> ServiceError | None:
        """The error that refuses the request, which is charged then, for this one of the future. None if nothing has
        been done, and the operation's `handler` does or refuses it. Raises the error if it is a fault."""
        ...


Short = Callable[[Context, dict[str, Any]], dict[str, Any] | Begun | None]
"""Does or begins an operation at once, where its request, whose shape nobody has checked, has a common form. None, with
nothing changed, for any other request, which the operation's `handler` then does or refuses. May change what it is
given, and raise what a handler may: then it has changed nothing either."""

Repeat = Callable[[Context, bytes], dict[str, Any] | None]
"""Does an operation at once, as its `Short` does, if a request's body differs from an earlier one in a few texts only.
None, with nothing changed, for any other body."""
Repeats = Callable[[Context, dict[str, Any], bytes], Repeat | None]
"""What does requests that repeat one, given what its body was parsed to, and the body; None if nothing can."""

Reword = Callable[[ServiceError, Any], ServiceError]
"""The error that a client gets for one with which a request, given as decoded, was refused."""


def as_raised(error: ServiceError, request: Any) -> ServiceError:
    """For operations whose errors need no other words."""
    return error


Learn = Callable[[Region, tuple[Access, ...]], Awaitable[None]]
"""Has a region know all that accesses depend on. Raises nothing for what is not there."""


async def nothing_to_learn(region: Region, accesses: tuple[Access, ...]) -> None:
    """For operations whose accesses depend on the request alone."""


Count = Callable[[Context, ServiceError | None, float], None]
"""Counts an answered request in the service's metrics, from its meter: with the error, None for a success, and the
seconds that it took. Does not raise."""


def uncounted(context: Context, error: ServiceError | None, seconds: float) -> None:
    """For operations without metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of a service."""

    name: str
    handler: Handler
    accesses: Accesses
    unsigned: bool = False
    """Whether it needs no signature: what it is given proves who asks. Nobody's policies are asked then."""
    short: Short | None = None
    """Does the commonest requests (`short_way`)."""
    short_members: frozenset[str] | None = None
    """The members that requests may have which it does; None if that takes a closer look."""
    repeats: Repeats | None = None
    """Knows more of these requests without their being parsed."""
    form: Forms = no_form
    """The common forms of its requests, of which is decided once what they may do."""
    learn: Learn = nothing_to_learn
    """What to know before a request is refused: `accesses` go by what the process has seen of tables so far."""
    validate: Validate = by_codec
    """Checks the shape of a request, which is an object, where the codec does not."""
    reword: Reword = as_raised
    """How the operation's refusals are worded, where that depends on the request."""
    across_accounts: bool = False
    """Whether it may be asked for resources of another account, by their ARNs. If it is given such an ARN, the handler
    must raise OtherAccount before it has done anything."""
    count: Count = uncounted
    answer: int = 0
    """Bytes for which there must be room before it begins: of its largest answer, where that has many items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service, with all that it brings."""

    name: str
    """As botocore calls it: `dynamodbstreams`."""
    signing_name: str
    """In credential scopes. Two services may share one, as DynamoDB and its streams do."""
    api_version: str | None
    """The version of AWS's service, whose model names the operations; None for a service of Jedlik's own."""
    codec: Codec
    """How its requests and answers are written."""
    cbor: Codec | None = None
    """The same for clients that use Smithy's RPC v2 in CBOR, if they may; then the path names the operation."""
    target_prefix: str | None
    """What X-Amz-Target begins with, before the dot and the operation's name; None where the protocol has no target."""
    operations: Mapping[str, Operation]
    """By name."""
    keyspaces: tuple[Keyspace, ...] = ()
    """What it keeps in a region's store."""
    identity_keyspaces: tuple[Keyspace, ...] = ()
    """What it keeps in an account's identity store."""
    job_kinds: tuple[JobKind, ...] = ()
    """The background work that ends."""
    duties: tuple[Callable[[Settings], Duty], ...] = ()
    """The background work that comes again, as a server with these settings does it."""
    checks: tuple[Check, ...] = ()
    """What `jedlik check` goes over in what it keeps, one after the other."""
    standing: tuple[Wanted, ...] = ()
    """What else keeps a region's store open, though it is neither a job nor a duty."""
    identity_checks: tuple[Check, ...] = ()
    """The same for what it keeps in an account's identity store."""
    metrics: tuple[Metric, ...] = ()
    """Its metrics. See `aws.metrics`."""
    is_global: bool = False
    """Any region of the scope is right, whatever regions are served (IAM, STS)."""


def unsupported(service: Service) -> dict[str, Operation]:
    """What AWS's service does and the one here does not yet, by name: it is refused by name, where any other name is
    merely unknown."""
    if service.api_version is None:
        return {}
    names = service_model.operation_names(service.name) - service.operations.keys()
    return {name: _refusing(name) for name in names}


def _refusing(name: str) -> Operation:
    async def refuse(context: Context, request: dict[str, Any]) -> None:
        raise UnknownOperationException(f"Jedlik does not support {name} yet")

    return Operation(name=name, handler=refuse, accesses=needs_nothing, validate=lambda request: request)


def key_spaces(services: Iterable[Service]) -> tuple[Keyspace, ...]:
    """Every key space of a store, in the order of the keys. Raises ValueError where one is in another's way."""
    own = (space for service in services for space in service.keyspaces)
    return keyspaces.arranged((keyspaces.STORE, store_keys.KEYSPACE, table_keyring.KEYSPACE, *work.KEYSPACES, *own))


def identity_key_spaces(services: Iterable[Service]) -> tuple[Keyspace, ...]:
    """Every key space of an identity store, in the order of the keys. Raises ValueError as `key_spaces` does."""
    own = (space for service in services for space in service.identity_keyspaces)
    return keyspaces.arranged((keyspaces.STORE, *own))


def background_work(services: Iterable[Service], settings: Settings) -> Work:
    """The background work of a server with these services and settings."""
    services = tuple(services)
    return Work(
        job_kinds=tuple(kind for service in services for kind in service.job_kinds),
        duties=tuple(duty(settings) for service in services for duty in service.duties),
        standing=tuple(wanted for service in services for wanted in service.standing),
    )
