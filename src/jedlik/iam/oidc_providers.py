"""OpenID Connect providers: the issuers whose tokens an account accepts.

A provider is known by its URL, without `https://`, which is also the end of its ARN. The thumbprints are kept and
shown; which certificates an issuer's server may have is for the authorities that OpenSSL knows to decide, as on AWS for
most issuers.

Source: the API reference; "Create an OpenID Connect (OIDC) identity provider in IAM" in the user guide.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from jedlik.aws.context import Context
from jedlik.iam import entities
from jedlik.iam.entities import Request
from jedlik.iam.errors import (
    EntityAlreadyExistsException,
    InvalidInputException,
    LimitExceededException,
    NoSuchEntityException,
    ValidationError,
)
from jedlik.iam.identity_rows import PROVIDER, Row
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.listings import page

MOST_CLIENTS = 100
MOST_THUMBPRINTS = 5
SCHEME = "https://"
_is_thumbprint = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII).fullmatch
_NOT_HERE = ("ContextProvider", "IdentityCenterInstanceArn")


def name_of(account: str, arn: str) -> str:
    """The name in the ARN of a provider of an account. Raises NoSuchEntityException and ValidationError."""
    prefix = f"arn:aws:iam::{account}:{PROVIDER.arn_type}/"
    if not arn.startswith("arn:") or arn.count(":") < 5:
        raise ValidationError(f"ARN {arn} is not valid.")
    if not arn.startswith(prefix):
        raise _missing(arn)
    return arn.removeprefix(prefix)


def _missing(arn: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"OpenIDConnect Provider not found for arn {arn}")


def of_issuer(identity: AccountIdentity, issuer: str) -> Row | None:
    """The provider of an issuer, by its URL; None for a stranger."""
    name = issuer.removeprefix(SCHEME).rstrip("/")
    row = identity.row(PROVIDER.key(name))
    return row if row is not None and row[PROVIDER.name] == name else None


def _loaded(identity: AccountIdentity, arn: str) -> Row:
    name = name_of(identity.account, arn)
    row = identity.row(PROVIDER.key(name))
    if row is None or row[PROVIDER.name] != name:
        raise _missing(arn)
    return row


async def _changed(identity: AccountIdentity, arn: str, **members: Any) -> None:
    """Change a provider: each member is a function from its value, an empty list by default."""
    name = name_of(identity.account, arn)

    def decide(rows: Rows) -> None:
        row = rows.get(PROVIDER.key(name))
        if row is None or row[PROVIDER.name] != name:
            raise _missing(arn)
        changed = {member: work(row.get(member, [])) for member, work in members.items()}
        rows.put(PROVIDER.key(name), row | changed)

    await identity.change([PROVIDER.key(name)], decide)


def _checked_url(url: str) -> str:
    """The name of a provider with this URL."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or "@" in parts.netloc or not url.isascii() or not url.isprintable():
        raise ValidationError("Invalid Open ID Connect Provider URL")
    return parts.netloc.lower() + parts.path.rstrip("/")


def _checked_thumbprints(given: list[str]) -> list[str]:
    if len(given) > MOST_THUMBPRINTS:
        raise InvalidInputException(f"Thumbprint list must contain fewer than {MOST_THUMBPRINTS + 1} entries.")
    for one in given:
        if not _is_thumbprint(one):
            raise InvalidInputException("Thumbprint must be a 40-character hexadecimal string.")
    return [one.lower() for one in given]


def _check_clients(count: int) -> None:
    if count > MOST_CLIENTS:
        raise LimitExceededException(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENTS}")


def _refuse(request: Request) -> None:
    """Refuse what is not done here: there is no Identity Center."""
    for member in _NOT_HERE:
        if member in request:
            raise InvalidInputException(f"Jedlik does not support {member}")


async def create_open_id_connect_provider(
    identity: AccountIdentity, context: Context, request: Request
) -> dict[str, Any]:
    """Register an issuer."""
    _refuse(request)
    name, now, unique_id = _checked_url(request["Url"]), identity.now, PROVIDER.new_id()
    clients = list(dict.fromkeys(request.get("ClientIDList", ())))
    _check_clients(len(clients))
    thumbprints = _checked_thumbprints(request.get("ThumbprintList", []))
    tags = entities.merged((), request.get("Tags", ()))

    def decide(rows: Rows) -> Row:
        row: Row = {
            "Path": "/",
            PROVIDER.name: name,
            PROVIDER.id: unique_id,
            "CreateDate": now,
            "ClientIDList": clients,
            "ThumbprintList": thumbprints,
            "Tags": tags,
        }
        if rows.is_there(PROVIDER.key(name)):
            raise EntityAlreadyExistsException(f"Provider with url {SCHEME}{name} already exists.")
        entities.create(rows, PROVIDER, row)
        return row

    row = await identity.change([PROVIDER.key(name), PROVIDER.count], decide)
    return {"OpenIDConnectProviderArn": PROVIDER.arn(identity.account, row), "Tags": tags or None}


async def get_open_id_connect_provider(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """A provider."""
    row = _loaded(identity, request["OpenIDConnectProviderArn"])
    shown = {member: row[member] for member in ("ClientIDList", "ThumbprintList", "CreateDate")}
    return {"Url": row[PROVIDER.name], **shown, "Tags": row["Tags"]}


async def list_open_id_connect_providers(
    identity: AccountIdentity, context: Context, request: Request
) -> dict[str, Any]:
    """All providers: there are a hundred at most."""
    found = [row for _, row in entities.listed(identity, PROVIDER, {})]
    return {"OpenIDConnectProviderList": [{"Arn": PROVIDER.arn(identity.account, row)} for row in found]}


async def delete_open_id_connect_provider(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Forget an issuer. One that is not there is no error."""
    name = name_of(identity.account, request["OpenIDConnectProviderArn"])

    def decide(rows: Rows) -> None:
        row = rows.get(PROVIDER.key(name))
        if row is not None and row[PROVIDER.name] == name:
            entities.remove(rows, PROVIDER, row)

    await identity.change([PROVIDER.key(name)], decide)


async def add_client_id(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Accept tokens for another client. One that is there stays."""
    client = request["ClientID"]

    def added(clients: list[str]) -> list[str]:
        found = list(dict.fromkeys([*clients, client]))
        _check_clients(len(found))
        return found

    await _changed(identity, request["OpenIDConnectProviderArn"], ClientIDList=added)


async def remove_client_id(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Accept no more tokens for a client. That it is not there is no error."""
    client = request["ClientID"]
    await _changed(
        identity,
        request["OpenIDConnectProviderArn"],
        ClientIDList=lambda clients: [one for one in clients if one != client],
    )


async def update_open_id_connect_provider_thumbprint(
    identity: AccountIdentity, context: Context, request: Request
) -> None:
    """Replace the thumbprints."""
    thumbprints = _checked_thumbprints(request["ThumbprintList"])
    await _changed(identity, request["OpenIDConnectProviderArn"], ThumbprintList=lambda _: thumbprints)


async def tag_open_id_connect_provider(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Give a provider tags."""
    new = request["Tags"]
    await _changed(identity, request["OpenIDConnectProviderArn"], Tags=lambda tags: entities.merged(tags, new))


async def untag_open_id_connect_provider(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Remove tags from a provider."""
    keys = {key.lower() for key in request["TagKeys"]}
    await _changed(
        identity,
        request["OpenIDConnectProviderArn"],
        Tags=lambda tags: [one for one in tags if one["Key"].lower() not in keys],
    )


async def list_open_id_connect_provider_tags(
    identity: AccountIdentity, context: Context, request: Request
) -> dict[str, Any]:
    """The tags of a provider."""
    row = _loaded(identity, request["OpenIDConnectProviderArn"])
    return page(request, "Tags", sorted((one["Key"], one) for one in row["Tags"]))


OPERATIONS = {
    "CreateOpenIDConnectProvider": create_open_id_connect_provider,
    "GetOpenIDConnectProvider": get_open_id_connect_provider,
    "ListOpenIDConnectProviders": list_open_id_connect_providers,
    "DeleteOpenIDConnectProvider": delete_open_id_connect_provider,
    "AddClientIDToOpenIDConnectProvider": add_client_id,
    "RemoveClientIDFromOpenIDConnectProvider": remove_client_id,
    "UpdateOpenIDConnectProviderThumbprint": update_open_id_connect_provider_thumbprint,
    "TagOpenIDConnectProvider": tag_open_id_connect_provider,
    "UntagOpenIDConnectProvider": untag_open_id_connect_provider,
    "ListOpenIDConnectProviderTags": list_open_id_connect_provider_tags,
}
