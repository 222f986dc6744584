"""How requests name a key: by its id or ARN, or by the name or ARN of an alias.

The texts of refusals are AWS's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from jedlik.kms.errors import InvalidArnException, NotFoundException
from jedlik.regions.layout import is_account

ALIAS = "alias/"
RESERVED = "alias/aws/"
_KEY = "key/"
_ARN_PARTS = 6
is_key_id = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}", re.ASCII).fullmatch
is_alias = re.compile(r"alias/[a-zA-Z0-9/_-]+", re.ASCII).fullmatch


class Named(NamedTuple):
    """What a request names."""

    account: str
    region: str
    name: str
    """The id of a key, or the name of an alias."""

    @property
    def is_alias(self) -> bool:
        """Whether it is an alias."""
        return self.name.startswith(ALIAS)

    @property
    def arn(self) -> str:
        """Its ARN."""
        what = self.name if self.is_alias else _KEY + self.name
        return f"arn:aws:kms:{self.region}:{self.account}:{what}"


def parsed(text: str, account: str, region: str, *, may_be_alias: bool = True) -> Named:
    """What a text names in a region of an account. Raises NotFoundException and InvalidArnException."""
    name = text
    if text.startswith("arn:"):
        parts = text.split(":", _ARN_PARTS - 1)
        if len(parts) < _ARN_PARTS or parts[1] != "aws" or parts[2] != "kms" or not is_account(parts[4]):
            raise InvalidArnException(f"Invalid arn {text}")
        if parts[3] != region:
            raise NotFoundException(f"Invalid arn {parts[3]}")
        account, name = parts[4], parts[5]
        if name.startswith(_KEY):
            name = name.removeprefix(_KEY)
        elif not name.startswith(ALIAS):
            raise InvalidArnException(f"Invalid arn {text}")
    if not (is_key_id(name) or (may_be_alias and is_alias(name))):
        raise NotFoundException(f"Invalid keyId '{text}'")
    return Named(account, region, name)
