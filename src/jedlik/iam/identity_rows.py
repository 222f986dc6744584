"""What an account's identity store holds: its key spaces, its keys, and what is under them.

An entity (a user, a group, a role, a managed policy, an instance profile) is one row with all that belongs to it alone:
its inline policies, the ARNs of attached policies, its tags. So one read of a user, and one of each of its groups and
attached policies, is enough to decide what it may do. Names are unique in whatever case they are written.

Values are JSON. Dates are in seconds since the epoch.
"""

from __future__ import annotations

import secrets
import string
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import orjson

from jedlik.regions.keyspaces import Change, Keyspace, Owner, SealedParts, prefix_end

Row = dict[str, Any]
"""What is under a key."""


def packed(row: Row) -> bytes:
    """A row's value."""
    return orjson.dumps(row)


def unpacked(value: bytes) -> Row:
    """What a value holds."""
    found: Row = orjson.loads(value)
    return found


def sealed_members(*names: str) -> SealedParts:
    """For rows with these members, each sealed and in base64: the name of a part is that of the member."""

    def changed(value: bytes, change: Change) -> bytes:
        row = unpacked(value)
        new = {name: b64encode(change(b64decode(row[name]), name)).decode() for name in names if name in row}
        return value if all(row[name] == kept for name, kept in new.items()) else packed(row | new)

    return changed


ENTITIES = Keyspace(
    "entities",
    b"\x80",
    Owner.STORE,
    "users, groups, roles, policies, instance profiles and OpenID Connect providers",
    (("kind (1)  name in small letters", "entity"),),
)
UNIQUE_IDS = Keyspace("unique ids", b"\x88", Owner.STORE, "unique ids", (("unique id", "key of the entity"),))
SEALED_SECRET = "SealedSecret"
"""The member with the secret of an access key. An earlier version has it open, in `Secret`."""
ACCESS_KEYS = Keyspace(
    "access keys",
    b"\x90",
    Owner.STORE,
    "access keys",
    (("access key id", "sealed secret, status, unique id of the user"),),
    sealed=sealed_members(SEALED_SECRET),
)
CURRENT, FORMER = "Current", "Former"
"""The members with the keys of session tokens."""
TOKEN_KEYS = Keyspace(
    "token keys",
    b"\xa8",
    Owner.STORE,
    "keys of session tokens",
    (("", "sealed: the key of session tokens, and the one before"),),
    sealed=sealed_members(CURRENT, FORMER),
)
LAST_USES = Keyspace(
    "last uses",
    b"\x98",
    Owner.STORE,
    "last uses",
    (
        ("access key id or unique id of a role", "when, where and for what"),
        ("unique id of a user", "when the user's password"),
    ),
)
COUNTS = Keyspace(
    "counts",
    b"\xa0",
    Owner.STORE,
    "counts",
    (
        ('"n"  kind (1)', "counter of entities of a kind"),
        ('"a"  ARN', "counter of entities that a policy is attached to"),
        ('"b"  ARN', "counter of entities whose boundary a policy is"),
        ('"v"', "counter of changes"),
    ),
)
PASSWORDS = Keyspace(
    "passwords",
    b"\xb0",
    Owner.STORE,
    "passwords",
    (('"p"  unique id', "hashes of a user's passwords, sealed; when it was set"), ('"r"', "password policy")),
    sealed=sealed_members("Hashes"),
)
KEYSPACES = (ENTITIES, UNIQUE_IDS, ACCESS_KEYS, LAST_USES, COUNTS, TOKEN_KEYS, PASSWORDS)

PASSWORD_POLICY = PASSWORDS.prefix + b"r"
CHANGES = COUNTS.prefix + b"v"
"""Counts the changes of the store: workers look whether it has moved."""

_ID_DIGITS = string.ascii_uppercase + "234567"
_ID_LENGTH = 17


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entities."""

    letter: bytes
    title: str
    """What messages call one: `User`."""
    prefix: str
    """What its unique ids begin with."""
    arn_type: str
    name: str
    """The member with the name."""
    id: str
    """The member with the unique id."""
    quota: str
    most: int
    """How many an account may have ("IAM and AWS STS quotas" in the user guide)."""

    def key(self, name: str) -> bytes:
        """The key of the entity of a name, in any case."""
        return ENTITIES.prefix + self.letter + name.lower().encode()

    @property
    def range(self) -> tuple[bytes, bytes]:
        """Where all its entities stand."""
        prefix = ENTITIES.prefix + self.letter
        return prefix, prefix_end(prefix)

    @property
    def count(self) -> bytes:
        """The key of the counter of its entities."""
        return COUNTS.prefix + b"n" + self.letter

    def arn(self, account: str, row: Row) -> str:
        """The ARN of an entity."""
        return f"arn:aws:iam::{account}:{self.arn_type}{row['Path']}{row[self.name]}"

    def new_id(self) -> str:
        """A unique id for a new one."""
        return self.prefix + "".join(secrets.choice(_ID_DIGITS) for _ in range(_ID_LENGTH))


USER = Kind(b"u", "User", "AIDA", "user", "UserName", "UserId", "UsersPerAccount", 5000)
GROUP = Kind(b"g", "Group", "AGPA", "group", "GroupName", "GroupId", "GroupsPerAccount", 300)
ROLE = Kind(b"r", "Role", "AROA", "role", "RoleName", "RoleId", "RolesPerAccount", 1000)
POLICY = Kind(b"p", "Policy", "ANPA", "policy", "PolicyName", "PolicyId", "PoliciesPerAccount", 1500)
PROFILE = Kind(
    *(b"i", "Instance Profile", "AIPA", "instance-profile", "InstanceProfileName", "InstanceProfileId"),
    *("InstanceProfilesPerAccount", 1000),
)
PROVIDER = Kind(
    *(b"o", "OpenIDConnect Provider", "AOIP", "oidc-provider", "Url", "ProviderId"),
    *("OpenIdConnectProvidersPerAccount", 100),
)
"""Its name is its URL without `https://`; nobody sees its unique id."""
KINDS = (USER, GROUP, ROLE, POLICY, PROFILE, PROVIDER)


def id_key(unique_id: str) -> bytes:
    """Where the key of the entity with a unique id is."""
    return UNIQUE_IDS.prefix + unique_id.encode()


def access_key_key(access_key: str) -> bytes:
    """The key of an access key."""
    return ACCESS_KEYS.prefix + access_key.encode()


def password_key(unique_id: str) -> bytes:
    """The key of a user's password, by the user's unique id."""
    return PASSWORDS.prefix + b"p" + unique_id.encode()


def last_use_key(of: str) -> bytes:
    """The key of the last use of an access key, of a role by its unique id, or of a user's password by the user's."""
    return LAST_USES.prefix + of.encode()


def attachments_key(policy_arn: str) -> bytes:
    """The key of the counter of entities that a policy is attached to."""
    return COUNTS.prefix + b"a" + policy_arn.encode()


def boundaries_key(policy_arn: str) -> bytes:
    """The key of the counter of entities whose boundary a policy is."""
    return COUNTS.prefix + b"b" + policy_arn.encode()
