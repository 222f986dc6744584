"""The table of actions, resources and condition keys: whole, and in agreement with what is declared."""

from __future__ import annotations

import pytest

from jedlik.aws.policies import authorization_table
from jedlik.aws.policies.authorization_table import action, actions_of, services
from jedlik.dynamodb import accesses
from jedlik.process.services import SERVICES
from testing.condition_keys import type_of_key

TABLE = "arn:aws:dynamodb:eu-west-1:000000000000:table/Music"
TYPES = {"ARN", "Bool", "Date", "IPAddress", "Numeric", "String"}


def test_every_key_of_an_action_has_a_type() -> None:
    assert services() == {"dax", "dynamodb", "iam", "kms", "sts"}
    for service in services():
        assert actions_of(service)
        for one in actions_of(service):
            for key in one.keys:
                kind = type_of_key(key)
                assert kind is not None, (one.name, key)
                assert kind.removeprefix("ArrayOf") in TYPES
            assert all(template.count(":") >= 5 for template in one.templates)


NO_ACTIONS = {"BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction", "ReEncrypt"} | {
    *("TransactGetItems", "TransactWriteItems"),
}
"""Operations that need actions of other names."""


def test_every_operation_needs_an_action_of_the_table() -> None:
    listed = {
        f"{service.signing_name}:{name}"
        for service in SERVICES
        if service.signing_name in services() | {"ec2"}
        for name in service.operations.keys() - NO_ACTIONS
    }
    others = accesses.RESOURCES.keys() | {"ConditionCheckItem"}
    others |= {one for besides in accesses.BESIDES.values() for _, actions, _ in besides for one in actions}
    others |= {one for verbs in accesses.REPLICAS.values() for actions in verbs.values() for one in actions}
    others |= {f"PartiQL{verb}" for verb in ("Delete", "Insert", "Select", "Update")}
    listed |= {f"dynamodb:{name}" for name in others} | {"kms:ReEncryptFrom", "kms:ReEncryptTo"}
    listed |= {"sts:TagSession", "sts:SetSourceIdentity"}
    assert {name for name in listed if action(name) is None} == set()


@pytest.mark.parametrize(
    ("name", "arn", "template"),
    [
        ("GetItem", TABLE, "table/${TableName}"),
        ("Query", TABLE + "/index/I", "table/${TableName}/index/${IndexName}"),
        ("getrecords", TABLE + "/stream/2026", "table/${TableName}/stream/${StreamLabel}"),
        ("GetRecords", TABLE, None),
        ("ListTables", TABLE, None),
    ],
)
def test_the_form_of_a_resource(name: str, arn: str, template: str | None) -> None:
    found = action(f"dynamodb:{name}")
    assert found is not None
    wanted = None if template is None else "arn:${Partition}:dynamodb:${Region}:${Account}:" + template
    assert found.template(arn) == wanted


def test_keys_are_found_in_any_case_and_with_what_they_end() -> None:
    assert type_of_key("AWS:sourceip") == "IPAddress"
    assert type_of_key("aws:RequestTag/team") == "String"
    assert type_of_key("kms:EncryptionContext:x") == "String"
    assert type_of_key("aws:Nothing") is None
    assert authorization_table.action("s3:GetObject") is None
