"""A service as it declares itself: on this page is every place where something can be added to the house.

A service is one `Service`. What lists operations, targets, key spaces, jobs, duties, checks or metrics is derived from
the declarations, and `process` puts the list of services together. Whoever wants to know what can be declared reads the
fields here; the types of what is declared stand where it is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from jedlik.aws.context import Context
from jedlik.aws.errors import DynamoDBError
from jedlik.aws.metrics import Metric
from jedlik.background import work
from jedlik.background.work import Duty, JobKind, Wanted, Work
from jedlik.config import Settings
from jedlik.regions import keyspaces
from jedlik.regions.keyspaces import Keyspace

Handler = Callable[[Context, dict[str, Any]], Awaitable[dict[str, Any] | None]]
"""Does an operation. The shape of the request has been checked; what is returned is the answer's body, None for an
empty one."""


class Scope(NamedTuple):
    """Where a request is served, as far as ARNs say so."""

    partition: str
    """`aws`, `aws-cn`..."""
    account: str
    """Twelve digits."""
    region: str


class Access(NamedTuple):
    """What a request needs to be allowed."""

    action: str
    """As policies name it: `dynamodb:GetItem`."""
    resource: str
    """An ARN; `*` where the action is on no resource."""
    context: Mapping[str, tuple[str, ...]]
    """The condition keys that are known from the request, with their values: `dynamodb:LeadingKeys`..."""


Accesses = Callable[[Scope, Mapping[str, Any]], tuple[Access, ...]]
"""Every access that a request needs, all of which must be allowed: a pure function of the checked request and of where
it is served."""


def needs_nothing(scope: Scope, request: Mapping[str, Any]) -> tuple[Access, ...]:
    """For what everybody may do who has signed a request, like sts:GetCallerIdentity."""
    return ()


class Codec(Protocol):
    """How a service's requests are read and its answers written: one of `aws.protocols`, for one service."""

    def content_type(self, given: bytes) -> bytes | None:
        """The content type of the answer to a request with this Content-Type, empty if it has none; None for a request
        that is not of this protocol."""
        ...

    def operation_of(self, parsed: Any) -> str:
        """Which operation is asked for, where no target says so: the Action of a query. Raises the service's error."""
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

    def error(self, error: DynamoDBError, request_id: str) -> tuple[int, bytes, bytes]:
        """Status, further header lines and body of the answer that refuses a request."""
        ...


Validate = Callable[[Any], dict[str, Any]]
"""Checks the shape of a decoded body, which it may change, and returns the request. Raises what refuses it."""
Reword = Callable[[DynamoDBError, Any], DynamoDBError]
"""The error that a client gets for one with which a request, given as decoded, was refused."""


def as_raised(error: DynamoDBError, request: Any) -> DynamoDBError:
    """For operations whose errors need no other words."""
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of a service."""

    name: str
    handler: Handler
    accesses: Accesses
    validate: Validate
    """Checks the shape of a decoded body (`shapes.validator`)."""
    reword: Reword = as_raised
    """How the operation's refusals are worded, where that depends on the request."""
    answer: int = 0
    """Bytes for which there must be room before it begins: of its largest answer, where that has many items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service, with all that it brings."""

    name: str
    """As botocore calls it: `dynamodbstreams`."""
    signing_name: str
    """In credential scopes. Two services may share one, as DynamoDB and its streams do."""
    api_version: str
    target_prefix: str | None
    """What X-Amz-Target begins with, before the dot and the operation's name; None where the protocol has no target."""
    operations: Mapping[str, Operation]
    """By name."""
    keyspaces: tuple[Keyspace, ...] = ()
    """What it keeps in a region's store."""
    job_kinds: tuple[JobKind, ...] = ()
    """The background work that ends."""
    duties: tuple[Callable[[Settings], Duty], ...] = ()
    """The background work that comes again, as a server with these settings does it."""
    standing: tuple[Wanted, ...] = ()
    """What else keeps a region's store open, though it is neither a job nor a duty."""
    metrics: tuple[Metric, ...] = ()
    """What it counts. `aws.metrics` says how."""
    is_global: bool = False
    """Any region of the scope is right, whatever regions are served (IAM, STS)."""


def targets(services: Iterable[Service]) -> dict[bytes, Operation]:
    """The operations by the X-Amz-Target that asks for them."""
    return {
        f"{service.target_prefix}.{name}".encode(): operation
        for service in services
        if service.target_prefix is not None
        for name, operation in service.operations.items()
    }


def key_spaces(services: Iterable[Service]) -> tuple[Keyspace, ...]:
    """Every key space of a store, in the order of the keys. Raises ValueError where one is in another's way."""
    own = (space for service in services for space in service.keyspaces)
    return keyspaces.arranged((keyspaces.STORE, *work.KEYSPACES, *own))


def background_work(services: Iterable[Service], settings: Settings) -> Work:
    """The background work of a server with these services and settings."""
    services = tuple(services)
    return Work(
        job_kinds=tuple(kind for service in services for kind in service.job_kinds),
        duties=tuple(duty(settings) for service in services for duty in service.duties),
        standing=tuple(wanted for service in services for wanted in service.standing),
    )
