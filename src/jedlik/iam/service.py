"""AWS Identity and Access Management, over its query protocol."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import UnrecognizedClientException
from jedlik.aws.principals import FEDERATED_USER
from jedlik.aws.protocols.codecs import QueryCodec
from jedlik.aws.service import Handler, Operation, Service
from jedlik.iam import (
    account_aliases,
    account_details,
    attachments,
    entity_tags,
    groups,
    identity_check,
    inline_policies,
    login_profiles,
    managed_policies,
    needed_permissions,
    oidc_providers,
    other_credentials,
    password_rules,
    roles,
    simulations,
    users,
)
from jedlik.iam.identity_rows import GROUP, KEYSPACES, KINDS, POLICY, PROFILE, ROLE, USER, Kind
from jedlik.iam.identity_stores import AccountIdentity, IdentityStores

log = logging.getLogger(__name__)

NAME, VERSION = "iam", "2010-05-08"

Does = Callable[[AccountIdentity, Context, Mapping[str, Any]], Awaitable[dict[str, Any] | None]]
"""Does an operation in the identity store of the caller's account."""

_PLAIN: tuple[Does, ...] = (
    *(users.create_user, users.get_user, users.list_users, users.update_user, users.delete_user),
    *(users.create_access_key, users.list_access_keys, users.update_access_key, users.delete_access_key),
    *(users.get_access_key_last_used, users.list_groups_for_user),
    *(login_profiles.create_login_profile, login_profiles.get_login_profile, login_profiles.update_login_profile),
    *(login_profiles.delete_login_profile, login_profiles.change_password),
    *(password_rules.get_account_password_policy, password_rules.update_account_password_policy),
    password_rules.delete_account_password_policy,
    *(account_aliases.create_account_alias, account_aliases.delete_account_alias),
    account_aliases.list_account_aliases,
    *(groups.create_group, groups.get_group, groups.list_groups, groups.update_group, groups.delete_group),
    *(groups.add_user_to_group, groups.remove_user_from_group),
    *(roles.create_role, roles.get_role, roles.list_roles, roles.update_role, roles.update_role_description),
    *(roles.update_assume_role_policy, roles.delete_role),
    *(roles.create_instance_profile, roles.get_instance_profile, roles.list_instance_profiles),
    *(roles.list_instance_profiles_for_role, roles.delete_instance_profile),
    *(roles.add_role_to_instance_profile, roles.remove_role_from_instance_profile),
    *(managed_policies.create_policy, managed_policies.get_policy, managed_policies.list_policies),
    *(managed_policies.delete_policy, managed_policies.create_policy_version, managed_policies.get_policy_version),
    *(managed_policies.list_policy_versions, managed_policies.delete_policy_version),
    *(managed_policies.set_default_policy_version, attachments.list_entities_for_policy),
    *(account_details.get_account_summary, account_details.get_account_authorization_details),
    *(simulations.simulate_custom_policy, simulations.simulate_principal_policy),
    *(simulations.get_context_keys_for_custom_policy, simulations.get_context_keys_for_principal_policy),
)
"""Operations of one kind of entity, called after their functions."""


def _of_kinds() -> dict[str, Does]:
    """Operations that are the same for several kinds of entities."""
    found: dict[str, Does] = {}
    for kind in (USER, GROUP, ROLE):
        title = kind.title
        found |= {
            f"Put{title}Policy": inline_policies.put(kind),
            f"Get{title}Policy": inline_policies.get(kind),
            f"List{title}Policies": inline_policies.list_(kind),
            f"Delete{title}Policy": inline_policies.delete(kind),
            f"Attach{title}Policy": attachments.attach(kind),
            f"Detach{title}Policy": attachments.detach(kind),
            f"ListAttached{title}Policies": attachments.list_attached(kind),
        }
    for kind in (USER, ROLE):
        found |= {
            f"Put{kind.title}PermissionsBoundary": attachments.put_boundary(kind),
            f"Delete{kind.title}PermissionsBoundary": attachments.delete_boundary(kind),
        }
    for kind in (USER, ROLE, POLICY, PROFILE):
        title = _plain(kind)
        found |= {
            f"Tag{title}": entity_tags.tag(kind),
            f"Untag{title}": entity_tags.untag(kind),
            f"List{title}Tags": entity_tags.list_(kind),
        }
    return found


def _plain(kind: Kind) -> str:
    return kind.title.replace(" ", "")


def _name(function: Does) -> str:
    """The operation that a function is called after: `create_user` does CreateUser."""
    words: str = function.__name__
    return "".join(word.capitalize() for word in words.split("_"))


DONE: dict[str, Does] = (
    {_name(function): function for function in _PLAIN}
    | _of_kinds()
    | oidc_providers.OPERATIONS
    | other_credentials.OPERATIONS
)
"""What is done here, by the operation's name."""


_READING = ("Get", "List", "Simulate")
"""What the names of operations begin with that change nothing."""


def _note_change(name: str, context: Context, request: Mapping[str, Any]) -> None:
    """Log a change of identities."""
    members = [kind.name for kind in KINDS] + ["PolicyArn", "AccessKeyId", "OpenIDConnectProviderArn"]
    fields = {
        "request_id": context.request_id,
        "caller": context.caller.principal,
        "access_key": context.caller.access_key,
        "action": f"iam:{name}",
        "account": context.region.account,
        "resource": ",".join(str(request[member]) for member in members if member in request),
        "client": context.caller.source_address,
    }
    log.info("identity changed", extra={field: value for field, value in fields.items() if value})


def declared(stores: IdentityStores) -> Service:
    """The service over the identity stores of a server."""

    def handling(does: Does) -> Handler:
        async def handle(context: Context, request: dict[str, Any]) -> Mapping[str, Any] | None:
            who = context.caller.who
            if who is not None and who.kind == FEDERATED_USER:
                # Whatever its policies allow: see GetFederationToken in the API reference of STS.
                raise UnrecognizedClientException("The security token included in the request is invalid.")
            return await does(stores.of(context.region.account), context, request)

        return handle

    def changing(name: str, does: Does) -> Handler:
        handle = handling(does)

        async def handle_and_note(context: Context, request: dict[str, Any]) -> Mapping[str, Any] | None:
            result = await handle(context, request)
            _note_change(name, context, request)
            return result

        return handle_and_note

    operations = {
        name: Operation(
            name=name,
            handler=handling(does) if name.startswith(_READING) else changing(name, does),
            accesses=needed_permissions.of(name, stores),
        )
        for name, does in DONE.items()
    }
    return Service(
        name=NAME,
        signing_name="iam",
        api_version=VERSION,
        codec=QueryCodec(NAME, VERSION),
        target_prefix=None,
        operations=operations,
        identity_keyspaces=KEYSPACES,
        identity_checks=(identity_check.CHECK,),
        is_global=True,
    )
