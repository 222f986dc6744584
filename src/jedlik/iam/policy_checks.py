"""Documents that requests bring: parsed, and refused as IAM refuses them."""

from __future__ import annotations

from functools import lru_cache

from jedlik.aws.policies.policy_documents import Kind, Policy
from jedlik.aws.policies.policy_parser import MalformedPolicy, parsed
from jedlik.iam.errors import MalformedPolicyDocumentException

_KEPT = 4096
"""Policies that a worker keeps parsed."""


def checked_document(document: str, kind: Kind = Kind.IDENTITY) -> Policy:
    """The policy in a document. Raises MalformedPolicyDocumentException."""
    try:
        return parsed(document, kind)
    except MalformedPolicy as error:
        raise MalformedPolicyDocumentException(str(error)) from None


@lru_cache(maxsize=_KEPT)
def stored_policy(document: str, kind: Kind = Kind.IDENTITY) -> Policy:
    """The policy in a document that was checked before it was stored."""
    return parsed(document, kind)
