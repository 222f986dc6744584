"""What is known of an account as a whole: its summary, and all that it has at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam import aws_policies, entities, inline_policies, managed_policies, users
from jedlik.iam.attachments import attached_policy
from jedlik.iam.entities import MOST_GROUPS, Request
from jedlik.iam.identity_rows import GROUP, KINDS, POLICY, PROFILE, PROVIDER, ROLE, USER, Row, attachments_key
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.iam.listings import page
from jedlik.iam.roles import MOST_TRUST


async def get_account_summary(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """How much there is of what, and the quotas."""
    counts = dict(zip(KINDS, identity.counts([kind.count for kind in KINDS]), strict=True))
    return {
        "SummaryMap": {
            "Users": counts[USER],
            "UsersQuota": USER.most,
            "Groups": counts[GROUP],
            "GroupsQuota": GROUP.most,
            "Roles": counts[ROLE],
            "RolesQuota": ROLE.most,
            "Policies": counts[POLICY],
            "PoliciesQuota": POLICY.most,
            "InstanceProfiles": counts[PROFILE],
            "InstanceProfilesQuota": PROFILE.most,
            "Providers": counts[PROVIDER],
            "AccessKeysPerUserQuota": users.MOST_KEYS,
            "AttachedPoliciesPerUserQuota": entities.MOST_ATTACHED,
            "AttachedPoliciesPerGroupQuota": entities.MOST_ATTACHED,
            "AttachedPoliciesPerRoleQuota": entities.MOST_ATTACHED,
            "AssumeRolePolicySizeQuota": MOST_TRUST,
            "GroupsPerUserQuota": MOST_GROUPS,
            "PolicySizeQuota": managed_policies.LARGEST,
            "VersionsPerPolicyQuota": managed_policies.MOST_VERSIONS,
            "UserPolicySizeQuota": inline_policies.MOST_TOGETHER[USER.letter],
            "GroupPolicySizeQuota": inline_policies.MOST_TOGETHER[GROUP.letter],
        }
    }


def _policies_of(row: Row) -> list[dict[str, str]]:
    return [
        {"PolicyName": name, "PolicyDocument": entities.quoted(document)}
        for name, document in sorted(row.get("Inline", {}).items())
    ]


def _attached(row: Row) -> list[dict[str, str]]:
    return [attached_policy(arn) for arn in row.get("Attached", ())]


def _user(identity: AccountIdentity, row: Row) -> dict[str, Any]:
    groups = [group for one in row.get("Groups", ()) if (group := entities.by_id(identity, one)) is not None]
    return entities.shown(identity.account, USER, row) | {
        "UserPolicyList": _policies_of(row),
        "GroupList": [group["GroupName"] for group in groups],
        "AttachedManagedPolicies": _attached(row),
    }


def _group(identity: AccountIdentity, row: Row) -> dict[str, Any]:
    shown = entities.shown(identity.account, GROUP, row, is_listed=True)
    return shown | {"GroupPolicyList": _policies_of(row), "AttachedManagedPolicies": _attached(row)}


def _role(identity: AccountIdentity, row: Row) -> dict[str, Any]:
    shown = entities.shown(identity.account, ROLE, row)
    for member in ("MaxSessionDuration", "Description"):
        shown.pop(member, None)
    profiles = [profile for one in row.get("Profiles", ()) if (profile := entities.by_id(identity, one)) is not None]
    return shown | {
        "InstanceProfileList": [
            entities.shown(identity.account, PROFILE, profile) | {"Roles": []} for profile in profiles
        ],
        "RolePolicyList": _policies_of(row),
        "AttachedManagedPolicies": _attached(row),
        "RoleLastUsed": {},
    }


def _policy(identity: AccountIdentity, row: Row) -> dict[str, Any]:
    return managed_policies.detailed(identity, row)


_LISTS = (
    ("User", "UserDetailList", USER, _user),
    ("Group", "GroupDetailList", GROUP, _group),
    ("Role", "RoleDetailList", ROLE, _role),
    ("LocalManagedPolicy", "Policies", POLICY, _policy),
)
"""The filter, the member of the answer, the kind, and how one is shown."""


async def get_account_authorization_details(
    identity: AccountIdentity, context: Context, request: Request
) -> dict[str, Any]:
    """All users, groups, roles and policies that are attached or the account's own, with their policies."""
    wanted = request.get("Filter") or [*(filter_ for filter_, *_ in _LISTS), "AWSManagedPolicy"]

    def everything() -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
        for order, (filter_, member, kind, show) in enumerate(_LISTS):
            if filter_ in wanted:
                for name, row in entities.listed(identity, kind, {}):
                    yield f"{order} {name}", (member, show(identity, row))
        if "AWSManagedPolicy" in wanted:
            for arn, row in sorted(aws_policies.ALL.items()):
                if identity.counts([attachments_key(arn)])[0]:
                    yield f"{len(_LISTS)} {arn}", ("Policies", _policy(identity, row))

    answer = page(request, "All", everything())
    shown: dict[str, Any] = {member: [] for member in dict.fromkeys(member for _, member, *_ in _LISTS)}
    for member, one in answer.pop("All"):
        shown[member].append(one)
    return shown | answer
