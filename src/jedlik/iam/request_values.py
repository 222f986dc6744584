"""The condition keys of a request: those of its access, those of the moment and the connection, and tags.

What is known of the caller is not among them (`subjects`): no request can change that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial

from jedlik.aws import private_ways
from jedlik.aws.access import CALLER, Access, account_of
from jedlik.aws.context import Caller
from jedlik.iam.entities import iso

_WRITTEN = (
    *("Attributes", "LeadingKeys", "Select", "ReturnValues", "ReturnConsumedCapacity", "FullTableScan"),
    *("EnclosingOperation", "FirstPartitionKeyValues", "SecondPartitionKeyValues", "ThirdPartitionKeyValues"),
    "FourthPartitionKeyValues",
)
CANONICAL = {f"dynamodb:{name.lower()}": f"dynamodb:{name}" for name in _WRITTEN} | {
    name.lower(): name for name in ("aws:TagKeys", "iam:PolicyARN", "iam:PermissionsBoundary")
}
"""The condition keys in accesses, by their names in small letters."""


TagsOf = Callable[[str], Mapping[str, str]]
"""The tags of the resource with an ARN: none where there is no such resource."""
_OF_RESOURCE = ("aws:resourcetag/", "ec2:resourcetag/", "iam:resourcetag/")


def no_tags(arn: str) -> Mapping[str, str]:
    """For a server whose resources have none."""
    return {}


class RequestValues(Mapping[str, tuple[str, ...]]):
    """The condition keys of a request, by their names in small letters: those of the access, and of the moment."""

    def __init__(
        self, access: Access, caller: Caller, is_secure: bool, clock: Callable[[], float], tags_of: TagsOf = no_tags
    ) -> None:
        self._context = access.context
        self._access = access
        self._caller = caller
        self._is_secure = is_secure
        self._clock = clock
        self._tags_of = tags_of

    def __getitem__(self, key: str) -> tuple[str, ...]:
        """Raises KeyError for a key that the request has not."""
        canonical = CANONICAL.get(key)
        if canonical is not None:
            return self._context[canonical]
        made = _OF_MOMENT.get(key)
        if made is not None:
            return made(self)
        for name, values in self._context.items():
            if name.lower() == key:
                return values
        if key.startswith(_OF_RESOURCE):
            return self.tags[key.partition("/")[2]]
        raise KeyError(key)

    @cached_property
    def tags(self) -> Mapping[str, tuple[str, ...]]:
        """The tags of the resource, by their keys in small letters."""
        resource = self._access.resource
        tags = self._tags_of(self._caller.principal if resource == CALLER else resource)
        return {key.lower(): (value,) for key, value in tags.items()}

    def _header(self, name: bytes) -> tuple[str, ...]:
        latest = self._caller.latest
        value = None if latest is None else latest.headers.get(name)
        return () if value is None else (value.decode("latin-1"),)

    def agent(self) -> tuple[str, ...]:
        return self._header(b"user-agent")

    def referer(self) -> tuple[str, ...]:
        return self._header(b"referer")

    def __iter__(self) -> Iterator[str]:
        tags = (f"{prefix}{key}" for prefix in _OF_RESOURCE for key in self.tags)
        return iter(dict.fromkeys((*_OF_MOMENT, *map(str.lower, self._context), *tags)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def epoch(self) -> tuple[str, ...]:
        return (str(int(self._clock())),)

    def time(self) -> tuple[str, ...]:
        return (iso(self._clock()),)

    def address(self) -> tuple[str, ...]:
        return (self._caller.source_address,) if self._caller.way is None else ()

    def private_address(self) -> tuple[str, ...]:
        return () if self._caller.way is None else (self._caller.source_address,)

    def of_way(self, key: str) -> tuple[str, ...]:
        return private_ways.values_of(self._caller.way).get(key, ())

    def tls_subject(self) -> tuple[str, ...]:
        subject = self._caller.tls_subject
        return () if subject is None else (subject,)

    def secure(self) -> tuple[str, ...]:
        is_secure = self._is_secure if self._caller.way is None else self._caller.way.is_secure
        return ("true" if is_secure else "false",)

    def region(self) -> tuple[str, ...]:
        return (self._caller.region,)

    def owner(self) -> tuple[str, ...]:
        return (account_of(self._access.resource) or self._caller.account,)


_OF_MOMENT: dict[str, Callable[[RequestValues], tuple[str, ...]]] = {
    **{key: partial(RequestValues.of_way, key=key) for key in private_ways.KEYS},
    "aws:currenttime": RequestValues.time,
    "aws:epochtime": RequestValues.epoch,
    "aws:sourceip": RequestValues.address,
    "aws:vpcsourceip": RequestValues.private_address,
    "aws:securetransport": RequestValues.secure,
    "aws:requestedregion": RequestValues.region,
    "aws:resourceaccount": RequestValues.owner,
    "aws:useragent": RequestValues.agent,
    "aws:referer": RequestValues.referer,
    "jedlik:tlsclientsubject": RequestValues.tls_subject,
}

OF_FORM = private_ways.KEYS | {"aws:securetransport", "aws:resourceaccount"}
"""Those of them that are the same in all requests of a form, which come the same way."""
OF_CONNECTION = frozenset({"aws:sourceip", "aws:vpcsourceip", "aws:requestedregion"})
"""Those that are the same in all requests of one caller by one connection."""
_VARIES = _OF_MOMENT.keys() - OF_FORM


def varies(key: str) -> bool:
    """Whether the requests of a form differ in a key besides those that vary with the item. Tags may change."""
    return key in _VARIES or key.startswith(_OF_RESOURCE)
