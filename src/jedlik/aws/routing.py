"""The service and operation of a request, from its headers and path alone.

All services answer on one port. They are distinguished in this order:

1. `smithy-protocol`, with a path that names service and operation;
2. X-Amz-Target: its prefix is a service's. Nearly every request is found by it, in one look-up;
3. the service in the credential scope, in the Authorization header or, presigned, in the query string;
4. for unsigned forms, their Version: each service has another;
5. all others go to the first service, which refuses them (`front`).

A request for a service that is not here is `Absent`: it gets an error in its own protocol (`absent`).

Source: recorded requests of the SDKs of October 2026 to one address; botocore's models for prefixes and versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from jedlik.aws import signature_claims
from jedlik.aws.errors import UnknownOperationException
from jedlik.aws.protocols.codecs import FORM, media_type
from jedlik.aws.service import Codec, Operation, Service, unsupported
from jedlik.aws.sigv4 import Signed
from jedlik.wire.messages import Request

RPC_CBOR = b"rpc-v2-cbor"
PATH = ("", "service", "SERVICE", "operation", "OPERATION")
"""The header value of requests in Smithy's RPC v2."""
LARGEST_UNSIGNED = 64 << 10
"""Bytes of a request that needs no signature: a token has at most 20,000 characters, and a policy 2,048."""
LONGEST_NAME = 64
"""Characters in the name of a service."""
VERSIONS = {
    b"2010-05-08": "iam",
    b"2010-08-01": "monitoring",
    b"2011-06-15": "sts",
    b"2016-11-15": "ec2",
}
"""The services of forms, by the Version in them; the names are those of credential scopes."""


class Authenticator(Protocol):
    """Identifies the signer of a request."""

    verifies: bool
    """Whether it believes nothing that it has not verified. Then it comes before everything else."""

    def signed(self, request: Request, service: str) -> Signed:
        """The signer of a request to a service, named as in credential scopes. Raises the error that refuses it."""
        ...

    def recognised(self, request: Request, service: str) -> Signed | None:
        """The same, if the signer is known and everything is right; None if that needs a closer look. May raise the
        error that refuses it."""
        ...


class Route(NamedTuple):
    """Where a request goes."""

    service: Service
    operation: Operation | None
    """None if the service does not have it, or if the body names it."""
    authenticator: Authenticator
    codec: Codec


@dataclass(frozen=True, slots=True)
class Absent:
    """A request for a service that is not here."""

    service: str
    """The name in credential scopes, or in the path."""


class Router:
    """Finds the way of a request. The services are in the order in which they are tried; see `find`."""

    def __init__(
        self,
        services: Sequence[Service],
        authenticator: Authenticator,
        others: Mapping[str, Authenticator] = MappingProxyType({}),
    ) -> None:
        """`others` are the authenticators of services that identify callers in another way, by the service's name."""
        self._services = services
        ways = {service.name: others.get(service.name, authenticator) for service in services}
        self.targets = {
            f"{service.target_prefix}.{name}".encode(): Route(service, operation, ways[service.name], service.codec)
            for service in services
            if service.target_prefix is not None
            for name, operation in service.operations.items()
        }
        """By X-Amz-Target."""
        self._others = [Route(service, None, ways[service.name], service.codec) for service in services]
        """A way to each service."""
        self._unsigned = {
            service.name: frozenset(
                name.encode() for name, operation in service.operations.items() if operation.unsigned
            )
            for service in services
        }
        self._unsupported: dict[str, dict[str, Operation]] = {}
        """The operations that AWS's service has and the one here has not, by the service's name; looked up at the first
        request."""

    @property
    def names(self) -> list[str]:
        """The services here, as credential scopes name them; without Jedlik's own."""
        return list(dict.fromkeys(service.signing_name for service in self._services if service.api_version))

    def find(self, request: Request) -> Route | Absent:
        """The way of a request whose target is no operation's."""
        headers = request.headers
        if request.method == b"OPTIONS":  # A browser may ask whether a request is permitted, for any service.
            return self._others[0]
        if b"smithy-protocol" in headers:
            return self._in_path(request) or Absent(scope_service(request) or path_names(request.target)[0] or "this")
        prefix, dot, name = headers.get(b"x-amz-target", b"").decode("latin-1").rpartition(".")
        if dot:
            for route in self._others:
                if route.service.target_prefix == prefix:
                    return route._replace(operation=self._refusing(route.service, name))
        signing_name = scope_service(request)
        if signing_name is None and media_type(headers.get(b"content-type", b"")) == FORM:
            signing_name = VERSIONS.get(form_version(request.body))
        if signing_name is not None:
            found = [route for route in self._others if route.service.signing_name == signing_name]
            return found[0] if found else Absent(signing_name)
        return self._others[0]

    def _in_path(self, request: Request) -> Route | None:
        """The way of a request whose operation is in its path."""
        prefix, name = path_names(request.target)
        for route in self._others:
            service = route.service
            if service.target_prefix == prefix and service.cbor is not None and speaks_cbor(request):
                operation = service.operations.get(name) or self._refusing(service, name)
                return Route(service, operation, route.authenticator, service.cbor)
        return None

    def named(self, service: Service, name: str) -> Operation:
        """The operation that a body names. Raises UnknownOperationException."""
        operation = service.operations.get(name) or self._refusing(service, name)
        if operation is None:
            raise UnknownOperationException("")
        return operation

    def needs_no_signature(self, service: Service, request: Request) -> bool:
        """Whether an unsigned request is for an operation of forms that needs no signature. All that is looked at is
        the beginning of its Action."""
        actions = self._unsigned.get(service.name, frozenset())
        return (
            bool(actions) and len(request.body) <= LARGEST_UNSIGNED and form_value(request.body, b"Action") in actions
        )

    def _refusing(self, service: Service, name: str) -> Operation | None:
        """The refusal of an operation that AWS's service has; None if it has none of that name."""
        if service.name not in self._unsupported:
            self._unsupported[service.name] = unsupported(service)
        return self._unsupported[service.name].get(name)


def scope_service(request: Request) -> str | None:
    """The service in a request's credential scope; None if there is no scope, or if no service can have this name."""
    authorization = request.headers.get(b"authorization", b"")
    _, found, rest = authorization.partition(b"Credential=")
    credential = rest.replace(b",", b" ").partition(b" ")[0].decode("latin-1")
    if not found and b"X-Amz-Credential=" in request.target:
        credential = dict(signature_claims.query_pairs(request.target)).get("X-Amz-Credential", "")
    parts = credential.rstrip("/").split("/")
    # Signature Version 4A signs for any region, and names none.
    is_scope = len(parts) >= signature_claims.SCOPE_PARTS - 1 and parts[-1] == signature_claims.TERMINATOR
    return service_name(parts[-2]) if is_scope else None


def path_names(target: bytes) -> tuple[str, str]:
    """Service and operation in the path of Smithy's own protocols, `/service/NAME/operation/NAME`; empty for others."""
    parts = target.decode("latin-1").split("/")
    if len(parts) != len(PATH) or (parts[1], parts[3]) != (PATH[1], PATH[3]):
        return "", ""
    return (service_name(parts[2].replace("_", "")) and parts[2]) or "", parts[4]


def speaks_cbor(request: Request) -> bool:
    """Whether a request is in Smithy's RPC v2 with CBOR."""
    return request.headers.get(b"smithy-protocol") == RPC_CBOR


def service_name(text: str) -> str | None:
    """A text, if a service can have this name."""
    return text if 0 < len(text) <= LONGEST_NAME and text.isascii() and text.replace("-", "").isalnum() else None


def form_version(body: bytes) -> bytes:
    """The Version in a form, which may be malformed; empty if it has no Version."""
    return form_value(body, b"Version")


def form_value(body: bytes, name: bytes) -> bytes:
    """The first value of a name in a form, as it is written; empty if it has none."""
    return (b"&" + body).partition(b"&" + name + b"=")[2].partition(b"&")[0]
