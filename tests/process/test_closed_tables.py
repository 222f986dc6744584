"""Tables whose key of KMS cannot be used: closed in every worker, with their streams and replicas, and opened again
with nothing lost.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import create, describe, unused_name
from testing.dynamodb.refusals import refusal
from testing.dynamodb.replicated_tables import replica_updates
from testing.jedlik_process import Server, eventually

HERE, THERE = "us-east-1", "eu-west-1"
CLOSED = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
DETAILS = r"\(Service: AWSKMS; Status Code: 400; Error Code: {}; Request ID: [0-9a-f-]{{36}}; Proxy: null\)"
KMS_TEXT = r"com\.amazonaws\.services\.kms\.model\."


class Asked(NamedTuple):
    """A server that seals its tables, and its clients."""

    server: Server
    client: Any
    kms: Any


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("closed")
    server = Server(folder / "log", data_dir=folder / "data", seal_tables=True, workers=2, regions=f"{HERE},{THERE}")
    yield Asked(server, server.client(), server.client("kms"))
    server.kill()


def by(key: str) -> dict[str, Any]:
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}


def new_key(kms: Any) -> str:
    arn: str = kms.create_key()["KeyMetadata"]["Arn"]
    return arn


def status(client: Any, name: str) -> str:
    return str(describe(client, name)["TableStatus"])


def becomes(client: Any, name: str, wanted: str) -> None:
    eventually(lambda: status(client, name) == wanted)


def of_every_worker(asked: Asked, call: Callable[[Any], Any], times: int = 12) -> list[Any]:
    """What new connections are answered: each goes to a worker of the kernel's choice."""
    return [call(asked.server.client()) for _ in range(times)]


def refused(call: Callable[[Any], Any], client: Any) -> tuple[str, str]:
    return refusal(partial(call, client))


def written(client: Any, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for page in client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True):
        found |= {item["p"]["S"]: item["v"]["N"] for item in page["Items"]}
    return found


def records(server: Server, name: str) -> int:
    streams = server.client("dynamodbstreams")
    arn = describe(server.client(), name)["LatestStreamArn"]
    count = 0
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        iterator = place["ShardIterator"]
        while iterator and (page := streams.get_records(ShardIterator=iterator))["Records"]:
            count += len(page["Records"])
            iterator = page.get("NextShardIterator")
    return count


def shown_replica(client: Any, name: str) -> dict[str, Any]:
    """The other replica of a table, as a region shows it."""
    found: dict[str, Any]
    [found] = describe(client, name)["Replicas"]
    return found


def test_a_key_is_disabled_under_load_and_enabled_again(asked: Asked) -> None:
    client, kms = asked.client, asked.kms
    key = new_key(kms)
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    name = create(client, SSESpecification=by(key), StreamSpecification=view)
    acknowledged: dict[str, str] = {}
    refusals: list[tuple[str, str]] = []
    done = threading.Event()

    def write(number: int) -> None:
        mine = asked.server.client()
        count = 0
        while not done.is_set():
            count += 1
            try:
                mine.put_item(TableName=name, Item={"p": {"S": str(number)}, "v": {"N": str(count)}})
                acknowledged[str(number)] = str(count)
            except ClientError as error:
                count -= 1
                refusals.append((error.response["Error"]["Code"], error.response["Error"]["Message"]))

    writers = [threading.Thread(target=partial(write, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    eventually(lambda: len(acknowledged) == 3)
    kms.disable_key(KeyId=key)
    becomes(client, name, CLOSED)
    eventually(lambda: len(refusals) > 20)
    text = f"KMS key disabled error: {KMS_TEXT}DisabledException: {key} is disabled. " + DETAILS.format(
        "DisabledException"
    )
    assert {code for code, _ in refusals} == {"ValidationException"}
    assert all(re.fullmatch(text, message) for _, message in refusals)
    shown = describe(client, name)
    assert shown["SSEDescription"].keys() == {
        "Status",
        "SSEType",
        "KMSMasterKeyArn",
        "InaccessibleEncryptionDateTime",
    }
    before = dict(acknowledged)
    kms.enable_key(KeyId=key)
    becomes(client, name, "ACTIVE")
    assert "InaccessibleEncryptionDateTime" not in describe(client, name)["SSEDescription"]
    eventually(lambda: all(int(acknowledged[number]) > int(before[number]) for number in before))
    done.set()
    for writer in writers:
        writer.join()
    assert written(client, name) == acknowledged
    assert records(asked.server, name) == sum(map(int, acknowledged.values()))


def test_all_requests_are_refused_by_all_workers(asked: Asked) -> None:
    client, kms = asked.client, asked.kms
    key = new_key(kms)
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    name = create(client, SSESpecification=by(key), StreamSpecification=view)
    item = {"p": {"S": "a"}}
    of_every_worker(asked, lambda one: one.put_item(TableName=name, Item=item))
    stream = describe(client, name)["LatestStreamArn"]
    kms.disable_key(KeyId=key)
    becomes(client, name, CLOSED)
    requests: dict[str, Callable[[Any], Any]] = {
        "get": lambda one: one.get_item(TableName=name, Key=item),
        "put": lambda one: one.put_item(TableName=name, Item=item),
        "scan": lambda one: one.scan(TableName=name),
        "batch": lambda one: one.batch_get_item(RequestItems={name: {"Keys": [item]}}),
        "transaction": lambda one: one.transact_get_items(TransactItems=[{"Get": {"TableName": name, "Key": item}}]),
        "partiql": lambda one: one.execute_statement(Statement=f'SELECT * FROM "{name}"'),
        "update": lambda one: one.update_table(TableName=name, TableClass="STANDARD"),
        "backup": lambda one: one.create_backup(TableName=name, BackupName="last"),
        "recovery": lambda one: one.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        ),
    }
    for what, call in requests.items():
        for code, message in of_every_worker(asked, partial(refused, call), 4):
            assert code == "ValidationException", what
            assert "KMS key disabled error" in message, what
    streams = asked.server.client("dynamodbstreams")
    assert "KMS key disabled error" in refusal(streams.describe_stream, StreamArn=stream)[1]
    client.delete_table(TableName=name)


def test_what_else_closes_a_table(asked: Asked) -> None:
    client, kms = asked.client, asked.kms
    key = new_key(kms)
    name = create(client, SSESpecification=by(key))
    client.put_item(TableName=name, Item={"p": {"S": "a"}})
    kms.schedule_key_deletion(KeyId=key)
    becomes(client, name, CLOSED)
    code, message = refusal(client.get_item, TableName=name, Key={"p": {"S": "a"}})
    assert (code, message.partition(" (")[0]) == (
        "ValidationException",
        f"KMS validation error: com.amazonaws.services.kms.model.KMSInvalidStateException: {key} is pending deletion.",
    )
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    becomes(client, name, "ACTIVE")
    [grant] = kms.list_grants(KeyId=key)["Grants"]
    kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    becomes(client, name, CLOSED)
    code, message = refusal(client.get_item, TableName=name, Key={"p": {"S": "a"}})
    assert code == "AccessDeniedException"
    assert message.startswith("KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: ")
    # The owner of the key makes another grant, which is for this table alone.
    made = {
        "KeyId": key,
        "GranteeServicePrincipal": f"dynamodb.{HERE}.amazonaws.com",
        "RetiringServicePrincipal": f"dynamodb.{HERE}.amazonaws.com",
        "Operations": ["Decrypt"],
    }
    own = describe(client, name)["TableArn"]
    kms.create_grant(**made, Constraints={"SourceArn": f"{own}-2"})
    code, _ = refusal(client.get_item, TableName=name, Key={"p": {"S": "a"}})
    assert code == "AccessDeniedException"
    kms.create_grant(**made, Constraints={"SourceArn": own})
    becomes(client, name, "ACTIVE")
    assert client.get_item(TableName=name, Key={"p": {"S": "a"}})["Item"] == {"p": {"S": "a"}}


def test_a_table_that_is_closed_stays_so_when_the_server_starts_again(asked: Asked) -> None:
    client, kms = asked.client, asked.kms
    key = new_key(kms)
    name = create(client, SSESpecification=by(key))
    client.put_item(TableName=name, Item={"p": {"S": "a"}, "v": {"N": "1"}})
    kms.disable_key(KeyId=key)
    becomes(client, name, CLOSED)
    asked.server.kill()
    asked.server.restart()
    client, kms = asked.server.client(), asked.server.client("kms")
    assert status(client, name) == CLOSED
    assert refusal(client.get_item, TableName=name, Key={"p": {"S": "a"}})[0] == "ValidationException"
    kms.enable_key(KeyId=key)
    becomes(client, name, "ACTIVE")
    assert written(client, name) == {"a": "1"}


def test_a_replica_rests_while_its_key_cannot_be_used(asked: Asked) -> None:
    here, there = asked.server.client(), asked.server.client(region=THERE)
    kms = asked.server.client("kms", region=THERE)
    theirs = new_key(kms)
    name = create(here, TableName=unused_name(), SSESpecification=by(new_key(asked.server.client("kms"))))
    here.update_table(TableName=name, **replica_updates("Create", THERE, KMSMasterKeyId=theirs))
    becomes(here, name, "ACTIVE")
    eventually(lambda: describe(there, name).get("SSEDescription", {}).get("Status") == "ENABLED")
    here.put_item(TableName=name, Item={"p": {"S": "a"}, "v": {"N": "1"}})
    eventually(lambda: written(there, name) == {"a": "1"})
    kms.disable_key(KeyId=theirs)
    becomes(there, name, CLOSED)
    eventually(lambda: shown_replica(here, name)["ReplicaStatus"] == CLOSED)
    since = describe(there, name)["SSEDescription"]["InaccessibleEncryptionDateTime"]
    assert shown_replica(here, name)["ReplicaInaccessibleDateTime"] == since
    assert status(here, name) == "ACTIVE"
    here.put_item(TableName=name, Item={"p": {"S": "b"}, "v": {"N": "2"}})
    assert written(here, name) == {"a": "1", "b": "2"}
    asked.server.kill()
    asked.server.restart()
    here, there = asked.server.client(), asked.server.client(region=THERE)
    kms = asked.server.client("kms", region=THERE)
    assert shown_replica(here, name)["ReplicaInaccessibleDateTime"] == since
    kms.enable_key(KeyId=theirs)
    becomes(there, name, "ACTIVE")
    eventually(lambda: shown_replica(here, name)["ReplicaStatus"] == "ACTIVE")
    eventually(lambda: written(there, name) == {"a": "1", "b": "2"})
    there.put_item(TableName=name, Item={"p": {"S": "c"}, "v": {"N": "3"}})
    eventually(lambda: len(written(here, name)) == 3)
