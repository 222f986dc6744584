"""Names of regions, their folders, and regions of any name, from ARNs to the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from jedlik import region_names
from testing.data_folders import store_in
from testing.jedlik_process import Server, run_jedlik

OTHER = ["local", "localhost", "ddblocal", "us-fake-1", "test", "dummy", "Local", "LOCAL", "lock", "_", "-", "x" * 64]
AWS = ["us-east-1", "eu-isoe-west-1", "us-gov-west-1", "eusc-de-east-1", "cn-northwest-1", "ap-southeast-7"]
names = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), st.sampled_from(OTHER + AWS))


@given(names)
def test_a_folder_name_gives_its_region(name: str) -> None:
    assert region_names.of_folder(region_names.folder(name)) == name


@given(names, names)
def test_regions_share_no_folder_even_on_a_disk_that_ignores_case(one: str, other: str) -> None:
    same = region_names.folder(one).lower() == region_names.folder(other).lower()
    assert same == (one == other)


@given(st.one_of(st.text(max_size=70), names.map(lambda name: "@" + name), st.from_regex(r"@[a-z+A-Z-]{1,9}")))
def test_a_folder_belongs_to_at_most_one_region(folder: str) -> None:
    name = region_names.of_folder(folder)
    assert name is None or region_names.folder(name) == folder


@pytest.mark.parametrize("name", AWS)
def test_a_region_of_aws_has_a_folder_of_its_name(name: str) -> None:
    assert (region_names.is_aws(name), region_names.folder(name)) == (True, name)


@pytest.mark.parametrize(
    ("name", "folder"), [("local", "@local"), ("Test_1", "@+test_1"), ("lock", "@lock"), ("123456789012",) * 2]
)
def test_folders_of_other_regions_begin_as_no_file_and_no_account_does(name: str, folder: str) -> None:
    assert region_names.folder(name) == "@" + folder.lstrip("@")
    assert not region_names.is_aws(name)


@pytest.mark.parametrize(
    "name", ["", "x" * 65, ".", "..", "../x", "a/b", "a.b", "é", "a b", "a\n", "@local", "+a", "credentials.json"]
)
def test_nothing_else_is_a_name(name: str) -> None:
    assert not region_names.is_name(name)
    with pytest.raises(ValueError, match="is not the name of a region"):
        region_names.folder(name)
    assert region_names.of_folder(name) is None or name == "@local"


# On a server.


def create(client: Any, name: str = "abc") -> dict[str, Any]:
    """A table with a stream and a tag."""
    table: dict[str, Any] = client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        Tags=[{"Key": "k", "Value": "v"}],
    )["TableDescription"]
    return table


def records(streams: Any, arn: str) -> list[dict[str, Any]]:
    """All that a stream has."""
    found: list[dict[str, Any]] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += streams.get_records(ShardIterator=iterator)["Records"]
    return found


def test_identifiers_that_contain_a_region_lead_back_to_it(server: Server) -> None:
    for name in ("ddblocal", "us-fake-1", "Test-1", "TEST-1"):
        client, streams = server.client(region=name), server.client("dynamodbstreams", region=name)
        table = create(client)
        arn, stream = table["TableArn"], table["LatestStreamArn"]
        assert arn == f"arn:aws:dynamodb:{name}:000000000000:table/abc"
        client.put_item(TableName=arn, Item={"p": {"S": name}})
        assert client.get_item(TableName=arn, Key={"p": {"S": name}})["Item"] == {"p": {"S": name}}
        assert client.execute_statement(Statement=f'SELECT p FROM "{arn}"')["Items"] == [{"p": {"S": name}}]
        assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
        assert [s["StreamArn"] for s in streams.list_streams(TableName="abc")["Streams"]] == [stream]
        assert {record["awsRegion"] for record in records(streams, stream)} == {name}
        with pytest.raises(ClientError, match="Invalid AWS region in"):
            server.client(region="us-fake-2").describe_table(TableName=arn)


def test_regions_of_any_name_have_stores_that_survive_a_restart(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    regions = ["local", "LOCAL", "lock", "us-east-1"]
    for number, name in enumerate(regions):
        create(server.client(region=name), f"table-{number}")
    server.restart()
    for number, name in enumerate(regions):
        assert server.client(region=name).list_tables()["TableNames"] == [f"table-{number}"]
    server.stop()
    folders = {path.name for path in store_in(tmp_path / "data").parent.iterdir() if path.is_dir()}
    assert folders == {"@local", "@+l+o+c+a+l", "@lock", "us-east-1"}
    for command in ("check", "stats"):
        said = run_jedlik(command, "--data-dir", str(tmp_path / "data"), "--region", "LOCAL").stdout
        assert said.startswith("@+l+o+c+a+l: ")


def test_a_server_that_verifies_has_regions_of_aws_only(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server()
    create(server.client(region="local"))
    server.stop()
    server = start_server(auth="on")
    with pytest.raises(ClientError) as refused:
        server.client(region="local").list_tables()
    assert refused.value.response["Error"] == {
        "Code": "InvalidSignatureException",
        "Message": "Credential should be scoped to a valid region, not 'local'. ",
    }
    assert server.client().list_tables()["TableNames"] == []


def test_the_settings_may_name_any_region(start_server: Callable[..., Server]) -> None:
    server = start_server(regions="local,us-east-1")
    assert server.client(region="local").list_tables()["TableNames"] == []
    with pytest.raises(ClientError) as refused:
        server.client(region="other").list_tables()
    assert "Credential should be scoped to a valid region, not 'other'" in json.dumps(refused.value.response)
