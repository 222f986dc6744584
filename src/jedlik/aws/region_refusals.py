"""Refusals of requests whose region cannot be had, in AWS's words."""

from __future__ import annotations

from jedlik.aws.errors import (
    InvalidSignatureException,
    LimitExceededException,
    ServiceError,
    UnrecognizedClientException,
)
from jedlik.regions.region import NoAccount, NotServed, TooManyOpen


def region_refusal(error: NotServed | NoAccount | TooManyOpen) -> ServiceError:
    """What a client is answered whose region cannot be had.

    An endpoint of AWS is of one region, and answers the same to a request for another; and keys of an account that is
    no more are good for nothing.
    """
    if isinstance(error, NoAccount):
        return UnrecognizedClientException("The security token included in the request is invalid.")
    if isinstance(error, NotServed):
        return InvalidSignatureException(f"Credential should be scoped to a valid region, not '{error}'. ")
    return LimitExceededException(str(error))
