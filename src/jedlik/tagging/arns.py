"""ARNs in requests to the tagging service.

Source: "InvalidParameterException" in the API reference, with which a malformed ARN, or one of another partition,
refuses the whole request.
"""

from __future__ import annotations

from jedlik.regions.region import Region
from jedlik.tagging.errors import InvalidParameterException

PARTS = 6
"""arn, partition, service, region, account, and the resource."""


def check(region: Region, arn: str) -> None:
    """Raises InvalidParameterException for a malformed ARN, or one of another partition than the region's."""
    parts = arn.split(":", PARTS - 1)
    if parts[0] != "arn" or len(parts) < PARTS or not (parts[1] and parts[2] and parts[5]):
        raise InvalidParameterException(f"The ARN '{arn}' is malformed.")
    if parts[1] != "aws":
        raise InvalidParameterException(f"The partition of the ARN '{arn}' is not that of this endpoint.")
