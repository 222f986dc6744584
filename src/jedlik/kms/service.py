"""AWS Key Management Service: symmetric keys that encrypt a few bytes, most often the keys of data.

Whether a caller may use a key is decided when the key has been read, by its policy, the caller's own policies and
grants (`aws.key_authority`). So the accesses that operations declare are those on no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jedlik.aws.access import Access, Accesses, Known, Scope, needs_nothing
from jedlik.aws.key_authority import EveryoneWithKeys, KeyAuthorizer
from jedlik.aws.protocols.codecs import JsonCodec
from jedlik.aws.service import Handler, Operation, Service
from jedlik.aws.shapes.service_shapes import ServiceShapes
from jedlik.kms import (
    cipher_operations,
    due_keys,
    key_checks,
    key_operations,
    key_permissions,
    key_rows,
    key_tags,
    material_imports,
    rotation_operations,
)
from jedlik.kms.alias_operations import AliasOperations
from jedlik.kms.cipher_operations import CipherOperations
from jedlik.kms.grant_operations import GrantOperations
from jedlik.kms.key_finding import Does, KeyFinder, Way
from jedlik.kms.key_names import Named
from jedlik.kms.key_operations import LEAST_DAYS, MOST_DAYS, KeyOperations
from jedlik.kms.key_policies import KeyPolicies
from jedlik.kms.keys_of_tables import KeysOfTables
from jedlik.kms.multi_region_operations import MultiRegionOperations
from jedlik.kms.replica_keys import KeyStores

NAME, VERSION = "kms", "2014-11-01"
SHAPES = ServiceShapes(
    service=NAME,
    members={("ScheduleKeyDeletionRequest", "PendingWindowInDays"): {"min": LEAST_DAYS, "max": MOST_DAYS}},
)
_BY_ID, _BY_ALIAS = Way(), Way(by_alias=True, across_accounts=True)
_ACROSS = Way(across_accounts=True)


def keys_of_tables(stores: KeyStores, authorizer: KeyAuthorizer | None = None) -> KeysOfTables:
    """Keys as DynamoDB uses them, on a server with these stores."""
    return KeysOfTables(KeyFinder(stores, authorizer or EveryoneWithKeys()))


def declared(stores: KeyStores, authorizer: KeyAuthorizer | None = None) -> Service:
    """The service of a server with these stores. Without an authorizer everybody may do everything."""
    finder = KeyFinder(stores, authorizer or EveryoneWithKeys())
    policies = KeyPolicies(finder.authorizer)
    keys, aliases, ciphers = KeyOperations(policies), AliasOperations(finder), CipherOperations(finder)
    grants, multi_region = GrantOperations(finder), MultiRegionOperations(finder, policies)
    on_keys: dict[str, tuple[Does, Way]] = {
        "CancelKeyDeletion": (multi_region.cancel_key_deletion, _BY_ID),
        "CreateGrant": (grants.create_grant, _ACROSS),
        "DeleteImportedKeyMaterial": (material_imports.delete_imported_key_material, _BY_ID),
        "DescribeKey": (key_operations.describe_key, _BY_ALIAS),
        "DisableKeyRotation": (rotation_operations.disable_key_rotation, _BY_ID),
        "DisableKey": (key_operations.disable_key, _BY_ID),
        "EnableKeyRotation": (rotation_operations.enable_key_rotation, _BY_ID),
        "EnableKey": (key_operations.enable_key, _BY_ID),
        "Encrypt": (cipher_operations.encrypt, _BY_ALIAS),
        "GenerateDataKey": (cipher_operations.generate_data_key, _BY_ALIAS),
        "GenerateDataKeyWithoutPlaintext": (cipher_operations.generate_data_key_without_plaintext, _BY_ALIAS),
        "GetKeyPolicy": (policies.get_key_policy, _BY_ID),
        "GetParametersForImport": (material_imports.get_parameters_for_import, _BY_ID),
        "ImportKeyMaterial": (material_imports.import_key_material, _BY_ID),
        "GetKeyRotationStatus": (rotation_operations.get_key_rotation_status, _ACROSS),
        "ListGrants": (grants.list_grants, _ACROSS),
        "ListKeyPolicies": (policies.list_key_policies, _BY_ID),
        "ListKeyRotations": (rotation_operations.list_key_rotations, _BY_ID),
        "ListResourceTags": (key_tags.list_resource_tags, _BY_ID),
        "PutKeyPolicy": (policies.put_key_policy, _BY_ID),
        "RevokeGrant": (grants.revoke_grant, _ACROSS),
        "RotateKeyOnDemand": (rotation_operations.rotate_key_on_demand, _BY_ID),
        "ScheduleKeyDeletion": (multi_region.schedule_key_deletion, _BY_ID),
        "TagResource": (key_tags.tag_resource, _BY_ID),
        "UntagResource": (key_tags.untag_resource, _BY_ID),
        "UpdateKeyDescription": (key_operations.update_key_description, _BY_ID),
        "UpdatePrimaryRegion": (multi_region.update_primary_region, _BY_ID),
    }
    others: dict[str, tuple[Handler, Accesses]] = {
        "CreateAlias": (aliases.create_alias, _on_alias("CreateAlias")),
        "CreateKey": (keys.create_key, _creation),
        "Decrypt": (ciphers.decrypt, needs_nothing),
        "DeleteAlias": (aliases.delete_alias, _on_alias("DeleteAlias")),
        "GenerateRandom": (cipher_operations.generate_random, _on_nothing("GenerateRandom")),
        "ListAliases": (aliases.list_aliases, _on_nothing("ListAliases")),
        "ListKeys": (key_operations.list_keys, _on_nothing("ListKeys")),
        "ListRetirableGrants": (grants.list_retirable_grants, _on_nothing("ListRetirableGrants")),
        "ReEncrypt": (ciphers.re_encrypt, needs_nothing),
        "RetireGrant": (grants.retire_grant, needs_nothing),
        "UpdateAlias": (aliases.update_alias, _on_alias("UpdateAlias")),
    }
    others["ReplicateKey"] = finder.on_key("ReplicateKey", multi_region.replicate_key, _BY_ID), _replication
    operations = {
        name: Operation(name=name, handler=finder.on_key(name, does, way), accesses=needs_nothing)
        for name, (does, way) in on_keys.items()
    } | {name: Operation(name=name, handler=handler, accesses=accesses) for name, (handler, accesses) in others.items()}
    return Service(
        name=NAME,
        signing_name="kms",
        api_version=VERSION,
        codec=JsonCodec(NAME, VERSION, shapes=SHAPES),
        target_prefix="TrentService",
        operations=operations,
        keyspaces=(key_rows.KMS_KEYS, key_rows.KMS_MATERIAL),
        duties=(due_keys.duty,),
        checks=(key_checks.CHECK,),
    )


def _on_nothing(operation: str) -> Accesses:
    """The action itself."""

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        return (Access(f"kms:{operation}", "*", {}),)

    return accesses


def _on_alias(operation: str) -> Accesses:
    """The action on the alias, which identities' policies allow; the key's policy decides about the key."""

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        arn = Named(scope.account, scope.region, request["AliasName"]).arn
        return (Access(f"kms:{operation}", arn, {"kms:CallerAccount": (scope.account,)}),)

    return accesses


def _creation(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """CreateKey, and TagResource if the key has tags from the beginning."""
    given = key_permissions.of_creation(request) | {"kms:CallerAccount": (scope.account,)}
    actions = ("kms:CreateKey", "kms:TagResource") if request.get("Tags") else ("kms:CreateKey",)
    return tuple(Access(action, "*", given) for action in actions)


def _replication(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """A key is created in the other region; the key's own policy decides about the key."""
    place = scope._replace(region=request["ReplicaRegion"])
    return _creation(place, {**request, "MultiRegion": True}, known)
