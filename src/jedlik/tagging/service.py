"""The Resource Groups Tagging API: tags of the resources of all services, in one place.

Operations that need an organization (reports, and the summary of compliance) are refused, as AWS refuses them to an
account that is not in one. The service that has a resource changes its tags, as the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jedlik.aws.access import Access, Known, Scope
from jedlik.aws.context import Context
from jedlik.aws.protocols.codecs import CborCodec, JsonCodec
from jedlik.aws.service import Handler, Operation, Service
from jedlik.aws.tagged_resources import TaggedResources
from jedlik.tagging.errors import ConstraintViolationException, InvalidParameterException
from jedlik.tagging.tag_reads import TagReads
from jedlik.tagging.tag_writes import TagWrites

NAME, VERSION = "resourcegroupstaggingapi", "2017-01-26"
OF_ORGANIZATIONS = ("DescribeReportCreation", "GetComplianceSummary", "StartReportCreation")
"""Operations that AWS permits only to the management account of an organization."""


def declared(types: Sequence[TaggedResources]) -> Service:
    """The service over the resources of others."""
    reads, writes = TagReads(types), TagWrites(types)
    handlers: dict[str, Handler] = {
        "GetResources": reads.get_resources,
        "GetTagKeys": reads.get_tag_keys,
        "GetTagValues": reads.get_tag_values,
        "ListRequiredTags": reads.list_required_tags,
        "TagResources": writes.tag_resources,
        "UntagResources": writes.untag_resources,
        **dict.fromkeys(OF_ORGANIZATIONS, _refuse),
    }
    return Service(
        name=NAME,
        signing_name="tagging",
        api_version=VERSION,
        codec=JsonCodec(NAME, VERSION, InvalidParameterException),
        cbor=CborCodec(NAME, VERSION, InvalidParameterException),
        target_prefix="ResourceGroupsTaggingAPI_20170126",
        operations={
            name: Operation(name=name, handler=handler, accesses=partial(_accesses, f"tag:{name}"))
            for name, handler in handlers.items()
        },
    )


async def _refuse(context: Context, request: dict[str, Any]) -> None:
    raise ConstraintViolationException("The account is not the management account of an organization.")


def _accesses(action: str, scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """The action itself, which is on no resource in particular."""
    return (Access(action, "*", {}),)
