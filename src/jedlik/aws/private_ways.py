"""Private ways: VPC endpoints, as services and the authorizer see them.

A VPC endpoint is a listener of its own. What a request has of it, the listener knows and nobody can send: the endpoint,
its VPC, and that the address of the client is one of a private network. On it is served what AWS's endpoint
`com.amazonaws.REGION.dynamodb` serves, and the tables of one region.

Sources: "Gateway endpoints for Amazon DynamoDB" and "Control access to VPC endpoints using endpoint policies" in the
guide to AWS PrivateLink; "AWS global condition context keys" in the IAM user guide.
"""

from __future__ import annotations

from typing import Protocol

from jedlik.aws.policies.policy_documents import Kind
from jedlik.aws.policies.policy_parser import MalformedPolicy, parsed

SERVED = "dynamodb"
"""The service of an endpoint, as credential scopes name it: tables and their streams."""
LARGEST_POLICY = 20_480
"""Characters of an endpoint's policy, with white space ("AWS PrivateLink quotas" in its guide)."""
FULL_ACCESS = '{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}'
"""The policy of an endpoint that was given none."""


def check_policy(document: str) -> None:
    """Raise MalformedPolicy for what cannot be the policy of an endpoint."""
    if len(document) > LARGEST_POLICY:
        raise MalformedPolicy(f"The policy has more than {LARGEST_POLICY} characters")
    parsed(document, Kind.RESOURCE)


KEYS = frozenset({"aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpceaccount"})
"""The condition keys that are the same in all requests that come by an endpoint."""


class PrivateWay(Protocol):
    """A VPC endpoint of this server."""

    @property
    def id(self) -> str:
        """`vpce-...`."""
        ...

    @property
    def vpc(self) -> str:
        """`vpc-...`."""
        ...

    @property
    def vpc_arn(self) -> str:
        """The ARN of that."""
        ...

    @property
    def account(self) -> str:
        """Whose endpoint it is."""
        ...

    @property
    def is_secure(self) -> bool:
        """Whether it speaks TLS."""
        ...

    def document(self) -> str | None:
        """The document of its policy as it is now, the same object as long as it does not change; None if it takes
        waiting to find out. Raises StorageError."""
        ...

    async def learn(self) -> str:
        """The same, for which it waits."""
        ...


def values_of(way: PrivateWay | None) -> dict[str, tuple[str, ...]]:
    """The KEYS of requests that come by an endpoint; none on the ordinary port."""
    if way is None:
        return {}
    return {
        "aws:sourcevpce": (way.id,),
        "aws:sourcevpc": (way.vpc,),
        "aws:sourcevpcarn": (way.vpc_arn,),
        "aws:vpceaccount": (way.account,),
    }
