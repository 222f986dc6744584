"""What policies can know of a request for a key: the condition keys of its accesses.

Source: "AWS KMS condition keys" in the developer guide; "Actions, resources, and condition keys for AWS Key Management
Service" in the service authorization reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jedlik.aws.key_authority import Via
from jedlik.kms.key_names import Named
from jedlik.kms.key_records import AWS, KmsKey

Request = Mapping[str, Any]
Values = dict[str, tuple[str, ...]]

_CONTEXT = "kms:EncryptionContext:"
_USE = frozenset(
    {
        *("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
        *("CreateGrant", "DescribeKey"),
    }
)
_LOOK = frozenset(
    {
        *("GetKeyPolicy", "GetKeyRotationStatus", "ListKeyPolicies", "ListGrants", "ListKeyRotations"),
        *("ListResourceTags", "RevokeGrant", "RetireGrant"),
    }
)


def is_for_customers(key: KmsKey, operation: str) -> bool:
    """Whether customers may do this with a key at all: AWS keeps the management of its own keys to itself."""
    return key.manager != AWS or operation in _USE or operation in _LOOK


def values(key: KmsKey | None, named: Named, account: str, via: Via | None, given: Values) -> Values:
    """The condition keys of an access to a key, which a request names in a way. `account` is the caller's, and `given`
    has what is known from the request."""
    found: Values = {"kms:CallerAccount": (account,), **given}
    if "kms:GrantOperations" in given:
        found["kms:GrantIsForAWSResource"] = (_text(via is not None),)
    if via is not None:
        found["kms:ViaService"] = (via.service,)
    if named.is_alias:
        found["kms:RequestAlias"] = (named.name,)
    if key is not None:
        found |= {
            "kms:KeySpec": ("SYMMETRIC_DEFAULT",),
            "kms:KeyUsage": ("ENCRYPT_DECRYPT",),
            "kms:KeyOrigin": (key.origin,),
            "kms:MultiRegion": (_text(key.regions is not None),),
        }
        if key.regions is not None:
            found["kms:MultiRegionKeyType"] = ("PRIMARY" if key.is_primary else "REPLICA",)
        if key.aliases:
            found["kms:ResourceAliases"] = key.aliases
        for tag, value in key.tags.items():
            found[f"aws:ResourceTag/{tag}"] = (value,)
    return found


def of_encryption(context: Mapping[str, str]) -> Values:
    """The condition keys of an encryption context."""
    found: Values = {"kms:EncryptionAlgorithm": ("SYMMETRIC_DEFAULT",)}
    if context:
        found["kms:EncryptionContextKeys"] = tuple(context)
        found |= {f"{_CONTEXT}{name}": (value,) for name, value in context.items()}
    return found


def of_re_encryption(on_same_key: bool) -> Values:
    """The condition key of ReEncrypt."""
    return {"kms:ReEncryptOnSameKey": (_text(on_same_key),)}


def of_tags(request: Request) -> Values:
    """The condition keys of tags that are set or removed."""
    tags = {tag["TagKey"]: tag["TagValue"] for tag in request.get("Tags", ())}
    found: Values = {f"aws:RequestTag/{name}": (value,) for name, value in tags.items()}
    names = tuple(tags) or tuple(request.get("TagKeys", ()))
    return found | ({"aws:TagKeys": names} if names else {})


def of_creation(request: Request) -> Values:
    """The condition keys of CreateKey."""
    return {
        "kms:KeySpec": (request.get("KeySpec", request.get("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT")),),
        "kms:KeyUsage": (request.get("KeyUsage", "ENCRYPT_DECRYPT"),),
        "kms:KeyOrigin": (request.get("Origin", "AWS_KMS"),),
        "kms:MultiRegion": (_text(request.get("MultiRegion", False)),),
        **_lockout(request),
        **of_tags(request),
    }


def _lockout(request: Request) -> Values:
    return {"kms:BypassPolicyLockoutSafetyCheck": (_text(request.get("BypassPolicyLockoutSafetyCheck", False)),)}


def _of_context(request: Request) -> Values:
    found = of_encryption(request.get("EncryptionContext", {}))
    return found | ({"kms:DataKeySpec": (request["KeySpec"],)} if "KeySpec" in request else {})


def _of_grant(request: Request) -> Values:
    found: Values = {"kms:GrantOperations": tuple(request["Operations"])}
    constraints: Mapping[str, Any] = request.get("Constraints", {})
    pairs: Mapping[str, str] = next((one for one in constraints.values() if isinstance(one, Mapping)), {})
    for member, name in (
        ("GranteePrincipal", "kms:GranteePrincipal"),
        ("GranteeServicePrincipal", "kms:GranteePrincipal"),
        ("RetiringPrincipal", "kms:RetiringPrincipal"),
        ("RetiringServicePrincipal", "kms:RetiringPrincipal"),
    ):
        if member in request:
            found[name] = (request[member],)
    kinds = tuple(constraints)
    return found | ({"kms:GrantConstraintType": kinds, **of_encryption(pairs)} if kinds else {})


def encryption_context(values: Values) -> dict[str, str]:
    """The encryption context from which `of_encryption` made the condition keys."""
    return {name.removeprefix(_CONTEXT): value[0] for name, value in values.items() if name.startswith(_CONTEXT)}


def _text(value: bool) -> str:
    return "true" if value else "false"


def _members(**names: str) -> Callable[[Request], Values]:
    """The condition keys that members of the request are, as they are."""

    def of(request: Request) -> Values:
        return {
            f"kms:{name}": (_date(request[member]) if member == "ValidTo" else str(request[member]),)
            for member, name in names.items()
            if member in request
        }

    return of


def _date(seconds: float) -> str:
    return str(int(seconds))


OF_REQUEST: Mapping[str, Callable[[Request], Values]] = {
    **dict.fromkeys(("Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"), _of_context),
    "CreateGrant": _of_grant,
    "PutKeyPolicy": _lockout,
    "TagResource": of_tags,
    "UntagResource": of_tags,
    "ScheduleKeyDeletion": _members(PendingWindowInDays="ScheduleKeyDeletionPendingWindowInDays"),
    "EnableKeyRotation": _members(RotationPeriodInDays="RotationPeriodInDays"),
    "GetParametersForImport": _members(WrappingAlgorithm="WrappingAlgorithm", WrappingKeySpec="WrappingKeySpec"),
    "ImportKeyMaterial": _members(ExpirationModel="ExpirationModel", ValidTo="ValidTo"),
    "ReplicateKey": _members(ReplicaRegion="ReplicaRegion"),
    "UpdatePrimaryRegion": _members(PrimaryRegion="PrimaryRegion"),
}
"""The condition keys that are known from the request alone, by operation."""
