"""The access keys of a server: those in the file, which are the accounts' own, and those of users.

Keys in the file that are not marked as the account's own were made before there were users. They belong to a user
`imported`, who is made with the account's identity store and may do everything until somebody changes that.
"""

from __future__ import annotations

from base64 import b32decode
from dataclasses import replace

from jedlik.aws.credentials import TEMPORARY, Credential, Credentials
from jedlik.aws.principals import USER as A_USER
from jedlik.aws.principals import Principal
from jedlik.iam import entities
from jedlik.iam.identity_rows import SEALED_SECRET, USER, Row, access_key_key
from jedlik.iam.identity_stores import IMPORTED, AccountIdentity, IdentityStores
from jedlik.iam.session_tokens import opened
from jedlik.iam.users import ACTIVE, PERMANENT
from jedlik.root_key import Unsealable
from jedlik.storage.engine import StorageError

_KEY_LENGTH = 20
_ID_OF_IMPORTED = "AIDAIMPORTED000000000"
"""The unique id of the user `imported` until its store is made."""


def account_of_key(access_key: str) -> str | None:
    """The account in an access key id (`users.new_access_key`); None for one that has none."""
    if len(access_key) != _KEY_LENGTH:
        return None
    try:
        number = int.from_bytes(b32decode(access_key[4:]), "big")
    except ValueError:
        return None
    account = number >> 39 & (1 << 40) - 1
    return f"{account:012}" if number >> 79 and account < 10**12 else None


class KnownKeys:
    """A `KeySource` of a file and of identity stores."""

    def __init__(self, file: Credentials, stores: IdentityStores) -> None:
        self._file = file
        self._stores = stores
        self._own_account = stores.settings.account
        stores.has_imported = self.has_imported

    def get(self, access_key: str, token: str | None = None) -> Credential | None:
        """The key, if it may be used."""
        found = self._file.get(access_key)
        if found is not None:
            return found if found.root else self._imported(found)
        account = account_of_key(access_key)
        if account is None:
            return None
        self._stores.home.check_fresh()
        identity = self._stores.of(account)
        if access_key.startswith(TEMPORARY):
            return None if token is None else _of_session(identity, access_key, token)
        if not access_key.startswith(PERMANENT):
            return None
        key = identity.row(access_key_key(access_key))
        user = None if key is None else entities.by_id(identity, key["UserId"])
        if key is None or user is None or key["Status"] != ACTIVE:
            return None
        principal = Principal(A_USER, USER.arn(account, user), user["UserId"], user["UserId"])
        return Credential(access_key, _secret(identity, access_key, key), account=account, principal=principal)

    def _imported(self, found: Credential) -> Credential | None:
        account = found.account or self._own_account
        identity = self._stores.of(account)
        if not identity.is_there:
            arn = f"arn:aws:iam::{account}:user/{IMPORTED}"
            return replace(found, principal=Principal(A_USER, arn, _ID_OF_IMPORTED, ""))
        user = identity.row(USER.key(IMPORTED))
        if user is None:
            return None
        return replace(found, principal=Principal(A_USER, USER.arn(account, user), user["UserId"], user["UserId"]))

    def refresh(self) -> bool:
        """Look for changes of the file, and of the stores that are open."""
        is_changed = self._file.refresh()
        return self._stores.look() or is_changed

    def account_of(self, access_key: str) -> str | None:
        """The account of a key, whether it may be used or not; None if there is no such key."""
        found = self._file.get(access_key)
        if found is not None:
            return found.account or self._own_account
        account = account_of_key(access_key)
        if account is None:
            return None
        if access_key.startswith(TEMPORARY):
            return account
        identity = self._stores.of(account)
        return account if identity.row(access_key_key(access_key)) is not None else None

    def has_imported(self, account: str) -> bool:
        """Whether there are keys of an account that were made before there were users."""
        return any(not one.root and (one.account or self._own_account) == account for one in self._file.all())


def _secret(identity: AccountIdentity, access_key: str, row: Row) -> str:
    """The secret of a user's access key. Raises StorageError."""
    if SEALED_SECRET not in row:
        secret: str = row["Secret"]
        return secret
    try:
        return identity.unsealed(access_key_key(access_key), row[SEALED_SECRET], SEALED_SECRET).decode()
    except (Unsealable, ValueError) as error:
        raise StorageError(f"the secret of the access key {access_key} cannot be read: {error}") from error


def _of_session(identity: AccountIdentity, access_key: str, token: str) -> Credential | None:
    """The key of a session, if the user or role that the session is of is still there."""
    found = opened(identity, access_key, token)
    if found is None or found.principal is None:
        return None
    subject = found.principal.subject
    return found if not subject or entities.by_id(identity, subject) is not None else None
