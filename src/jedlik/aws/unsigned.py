"""If signatures are not verified, a request needs none: curl, or a page, may simply send it."""

from __future__ import annotations

from collections.abc import Sequence

from jedlik.aws.sigv4 import Signed, Verifier
from jedlik.clock import Clock
from jedlik.config import DEFAULT_ACCOUNT
from jedlik.wire.messages import Request

NOBODY = "unsigned"
"""The access key of a caller that has signed nothing."""
USUAL_REGION = "us-east-1"
"""The region of a request that names none, if any is served."""


class Trusting(Verifier):
    """Believes a request's claim about its signer, and accepts one without a claim as well."""

    def __init__(self, served: Sequence[str], clock: Clock, own_account: str = DEFAULT_ACCOUNT) -> None:
        """`served` are the regions that are served, if not any: an unsigned request is for the first."""
        super().__init__(None, clock, own_account=own_account)
        self._anybody = Signed.of(NOBODY, served[0] if served else USUAL_REGION, "")

    def _believe(self, request: Request, fixed: bytes, rest: bytes) -> Signed:
        is_signed = b"authorization" in request.headers or b"X-Amz-" in request.target
        return super()._believe(request, fixed, rest) if is_signed else self._anybody
