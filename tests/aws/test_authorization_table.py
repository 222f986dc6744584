"""The table of actions, resources and condition keys: whole, and in agreement with what is declared."""

from __future__ import annotations

import pytest

from jedlik.aws.policies import authorization_table
from jedlik.aws.policies.authorization_table import action, actions_of, services, type_of_key
from jedlik.config import Settings
from jedlik.dax.service import declared as declared_dax
from jedlik.dynamodb import accesses
from jedlik.iam.service import DONE
from jedlik.kms.service import declared as declared_kms
from jedlik.process.services import NO_HOST
from jedlik.regions.stores import Stores

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


def test_every_operation_needs_an_action_of_the_table() -> None:
    plain = {name for name in accesses.ON_ITEMS if not name.startswith(("Execute", "BatchExecute", "Transact"))}
    needed = accesses.RESOURCES.keys() | plain
    needed |= {one for besides in accesses.BESIDES.values() for _, actions, _ in besides for one in actions}
    needed |= {one for verbs in accesses.REPLICAS.values() for actions in verbs.values() for one in actions}
    needed |= {f"PartiQL{verb}" for verb in ("Delete", "Insert", "Select", "Update")} | {"ConditionCheckItem"}
    listed = [f"dynamodb:{name}" for name in needed]
    listed += [f"iam:{name}" for name in DONE]
    listed += [f"dax:{name}" for name in declared_dax(NO_HOST, None).operations]
    on_keys = set(declared_kms(Stores(Settings())).operations) - {"ReEncrypt"} | {"ReEncryptFrom", "ReEncryptTo"}
    listed += [f"kms:{name}" for name in on_keys]
    listed += [f"sts:{name}" for name in ("AssumeRole", "TagSession", "SetSourceIdentity", "GetFederationToken")]
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
