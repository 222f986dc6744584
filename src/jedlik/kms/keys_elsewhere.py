"""Keys of tables in another KMS with the same API: AWS's, or another server's (`other_kms`).

Requests are signed with the credentials of the settings. What those may do with a key there is for its policy to state;
who may choose a key for a table here is for the policies of identities here. A key is tried with each `check`, since
nothing there counts changes for us. An answer that KMS itself has not given (nobody listens, a fault, credentials that
are unknown there, a certificate that is refused) proves nothing about a key: then it is away.

Sources: the API reference of AWS KMS; "AWS KMS encryption context" in the developer guide.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from jedlik.aws.access import Access
from jedlik.aws.authorizer import Authorizer
from jedlik.aws.context import Context
from jedlik.aws.errors import AccessDeniedException, ServiceError
from jedlik.aws.table_keys import Adopted, KeyAway, KeyUnusable
from jedlik.kms import errors, key_permissions
from jedlik.kms.keys_of_tables import DATA_KEY_BYTES, KeysOfTables
from jedlik.other_kms import OtherKms
from jedlik.peer_certificate import PeerCertificate, reason
from jedlik.regions.region import Region

SECONDS = 5.0
"""For a whole answer."""
MOST_BYTES = 1 << 20
"""The largest answer that is read."""
LONGEST_MESSAGE = 500
LONGEST_SEALED = 6144
"""Bytes of a ciphertext of KMS."""
_is_key_arn = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,256}", re.ASCII).fullmatch
_TARGET = "TrentService."
_CONTENT_TYPE = "application/x-amz-json-1.1"
_OK, _SERVER_FAULT = 200, 500
_REFUSALS: Mapping[str, type[ServiceError]] = {
    refusal.__name__: refusal
    for refusal in (
        AccessDeniedException,
        errors.DisabledException,
        errors.IncorrectKeyException,
        errors.InvalidArnException,
        errors.InvalidCiphertextException,
        errors.InvalidKeyUsageException,
        errors.KMSInvalidStateException,
        errors.NotFoundException,
    )
}
"""What KMS answers of a key itself. Any other error is no answer."""


class KeysElsewhere:
    """The keys that customers choose are in another KMS; DynamoDB's own, and those of earlier tables, are here."""

    def __init__(
        self, here: KeysOfTables, kms: OtherKms, authorizer: Authorizer, certificate: PeerCertificate | None = None
    ) -> None:
        """`certificate` is for a KMS that demands one of its clients."""
        self._here = here
        self._kms = kms
        self._authorizer = authorizer
        self._certificate = certificate
        self._credentials = Credentials(kms.access_key_id, kms.secret_access_key, kms.session_token)
        self._session: aiohttp.ClientSession | None = None

    async def adopt(self, context: Context, key: str | None, pairs: Mapping[str, str]) -> tuple[Adopted, bytes]:
        """Begin to use a key, in the name of a caller, whose own policies must allow it."""
        if key is None:
            return await self._here.adopt(context, key, pairs)
        region = context.region
        found = (await self._ask(region, "DescribeKey", {"KeyId": key})).get("KeyMetadata")
        arn = found.get("Arn") if isinstance(found, dict) else None
        if found is None or not isinstance(arn, str) or not _is_key_arn(arn):
            raise KeyAway("an answer of KMS describes no key")
        await self._check_caller(context, arn, pairs)
        _check_state(found, arn)
        made = await self._ask(
            region,
            "GenerateDataKey",
            {"KeyId": arn, "NumberOfBytes": DATA_KEY_BYTES, "EncryptionContext": dict(pairs)},
        )
        opened, sealed = _data_key(made), _bytes(made, "CiphertextBlob")
        if not 0 < len(sealed) <= LONGEST_SEALED:
            raise KeyAway("an answer of KMS has no sealed data key")
        return Adopted(arn, "", sealed, elsewhere=True), opened

    async def _check_caller(self, context: Context, arn: str, pairs: Mapping[str, str]) -> None:
        values = {
            **key_permissions.of_encryption(pairs),
            "kms:CallerAccount": (context.caller.account,),
            "kms:ViaService": (f"dynamodb.{context.region.name}.amazonaws.com",),
        }
        for action in ("DescribeKey", "GenerateDataKey", "Decrypt", "CreateGrant"):
            more = {"kms:GrantIsForAWSResource": ("true",)} if action == "CreateGrant" else {}
            await self._authorizer.check(context.caller, (Access(f"kms:{action}", arn, {**values, **more}),))

    async def open(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> bytes:
        """The data key of something in a region."""
        if not adopted.elsewhere:
            return await self._here.open(region, adopted, pairs)
        request = {
            "KeyId": adopted.key_arn,
            "CiphertextBlob": b64encode(adopted.sealed).decode(),
            "EncryptionContext": dict(pairs),
        }
        try:
            return _data_key(await self._ask(region, "Decrypt", request))
        except ServiceError as error:
            raise KeyUnusable(error.name, error.message) from error

    async def check(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> None:
        """Whether it can be opened."""
        if adopted.elsewhere:
            await self.open(region, adopted, pairs)
        else:
            await self._here.check(region, adopted, pairs)

    async def drop(self, region: Region, adopted: Adopted) -> None:
        """Retire the grant. There are no grants in another KMS: the credentials of the settings are enough."""
        if not adopted.elsewhere:
            await self._here.drop(region, adopted)

    async def changes(self, region: Region, adopted: Adopted) -> int:
        """The counter of changes where the key is; 0 for another KMS, which is asked by the clock."""
        return 0 if adopted.elsewhere else await self._here.changes(region, adopted)

    async def _ask(self, region: Region, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of the other KMS. Raises its refusal, and KeyAway."""
        # The client must run in a task, and handlers do not (`wire.connection`).
        return await asyncio.get_running_loop().create_task(self._asked(region.name, operation, request))

    async def _asked(self, region: str, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        data = orjson.dumps(request)
        headers = {"Content-Type": _CONTENT_TYPE, "X-Amz-Target": _TARGET + operation}
        signed = AWSRequest("POST", self._kms.endpoint, headers, data)
        SigV4Auth(self._credentials, "kms", self._kms.region or region).add_auth(signed)
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        tls = True if self._certificate is None else self._certificate.context()
        try:
            async with self._session.post(
                self._kms.endpoint, data=data, headers=dict(signed.headers), allow_redirects=False, ssl=tls
            ) as response:
                status, body = response.status, b""
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise KeyAway(f"{self._kms.endpoint}: an answer of more than {MOST_BYTES} bytes")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = reason(error, self._kms.endpoint, self._certificate)
            raise KeyAway(f"{self._kms.endpoint}: {why}") from error
        parsed: Any = None
        with suppress(orjson.JSONDecodeError):
            parsed = orjson.loads(body)
        if not isinstance(parsed, dict):
            raise KeyAway(f"{self._kms.endpoint}: an answer with status {status} that is no JSON object")
        if status == _OK:
            return parsed
        name = str(parsed.get("__type", "")).rpartition("#")[2]
        message = str(parsed.get("message", parsed.get("Message", "")))[:LONGEST_MESSAGE]
        if status < _SERVER_FAULT and name in _REFUSALS:
            raise _REFUSALS[name](message)
        raise KeyAway(f"{self._kms.endpoint}: {name} ({status}): {message}"[:LONGEST_MESSAGE])

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _bytes(answer: Mapping[str, Any], member: str) -> bytes:
    """A member of an answer that is bytes; empty if it is not there. Raises KeyAway."""
    try:
        return b64decode(answer.get(member, ""), validate=True)
    except (TypeError, ValueError):
        raise KeyAway(f"an answer of KMS has {member} in another form than base64") from None


def _data_key(answer: Mapping[str, Any]) -> bytes:
    """The data key in an answer. Raises KeyAway."""
    found = _bytes(answer, "Plaintext")
    if len(found) != DATA_KEY_BYTES:
        raise KeyAway("an answer of KMS is no data key")
    return found


def _check_state(found: Mapping[str, Any], arn: str) -> None:
    """Raise the refusal of a key that cannot be used, from its description."""
    if found.get("KeyUsage") != "ENCRYPT_DECRYPT" or found.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        raise errors.InvalidKeyUsageException(
            "EncryptionContext is supported only when creating a grant for a symmetric encryption KMS key."
        )
    state = found.get("KeyState")
    if state == "Disabled":
        raise errors.DisabledException(f"{arn} is disabled.")
    if state != "Enabled":
        shown = {"PendingDeletion": "pending deletion", "PendingImport": "pending import"}.get(str(state), str(state))
        raise errors.KMSInvalidStateException(f"{arn} is {shown}.")
