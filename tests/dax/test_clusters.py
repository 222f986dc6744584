"""Clusters that are made by DAX's own API: their nodes are processes, which come, go and come back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from amazondax import AmazonDaxClient
from botocore.exceptions import ClientError

from jedlik.dax.node import Node, Place
from jedlik.dax.node_board import NodeBoard, NodeName, SeenNode
from testing.dax import raw_client
from testing.dax.node_processes import process_of
from testing.dax.raw_client import RawClient, authorization, preamble, request
from testing.jedlik_process import Server, eventually, halted, run_jedlik

ROLE = "arn:aws:iam::000000000000:role/service/dax"
MADE = {"NodeType": "dax.r5.large", "IamRoleArn": ROLE}


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    return start_shared_server(dax_port=0, workers=2)


@pytest.fixture(scope="module")
def control(server: Server) -> Any:
    return server.client("dax")


def described(control: Any, name: str) -> dict[str, Any] | None:
    found = [one for one in control.describe_clusters()["Clusters"] if one["ClusterName"] == name]
    return found[0] if found else None


def available(control: Any, name: str) -> dict[str, Any]:
    """A cluster, when all its nodes serve."""
    cluster: dict[str, Any] = {}

    def is_available() -> bool:
        nonlocal cluster
        cluster = described(control, name) or {}
        return cluster.get("Status") == "available" and cluster["ActiveNodes"] == cluster["TotalNodes"]

    eventually(is_available)
    assert [one["NodeStatus"] for one in cluster["Nodes"]] == ["available"] * cluster["TotalNodes"]
    return cluster


def deleted(control: Any, name: str) -> None:
    control.delete_cluster(ClusterName=name)
    eventually(lambda: described(control, name) is None)


def refused(call: Callable[..., Any], code: str, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    assert error.value.response["Error"]["Code"] == code
    message: str = error.value.response["Error"]["Message"]
    return message


def client_of(cluster: dict[str, Any], region: str = "us-east-1") -> Any:
    url = cluster["ClusterDiscoveryEndpoint"]["URL"]
    return AmazonDaxClient(endpoint_url=url, region_name=region, aws_access_key_id="AK", aws_secret_access_key="SK")


def nodes_seen(cluster: dict[str, Any]) -> list[tuple[int, int]]:
    """Port and role of each node, as the cluster's discovery endpoint names them."""
    with RawClient(cluster["ClusterDiscoveryEndpoint"]["URL"]) as client:
        client.send(preamble(), authorization(), request(raw_client.ENDPOINTS))
        return [(node[3], node[4]) for node in client.answer(1)[1]]


def messages(control: Any, name: str) -> list[str]:
    events = control.describe_events(SourceType="CLUSTER", SourceName=name)["Events"]
    return [one["Message"] for one in reversed(events)]


def test_the_life_of_a_cluster(server: Server, control: Any) -> None:
    # The parent starts and ends nodes: as long as it stands still, nothing is done that was asked for.
    with halted(server.pid):
        made = control.create_cluster(
            ClusterName="Life",
            ReplicationFactor=2,
            Description="Short",
            AvailabilityZones=["a", "b"],
            Tags=[{"Key": "k", "Value": "v"}],
            SSESpecification={"Enabled": True},
            **MADE,
        )["Cluster"]
    assert (made["Status"], made["TotalNodes"], made["ActiveNodes"]) == ("creating", 2, 0)
    assert "ClusterDiscoveryEndpoint" not in made
    cluster = available(control, "life")
    arn = "arn:aws:dax:us-east-1:000000000000:cache/life"
    assert (cluster["ClusterArn"], cluster["NodeType"], cluster["IamRoleArn"]) == (arn, "dax.r5.large", ROLE)
    assert cluster["SSEDescription"] == {"Status": "ENABLED"}
    assert [(one["NodeId"], one["AvailabilityZone"]) for one in cluster["Nodes"]] == [("life-a", "a"), ("life-b", "b")]
    assert control.list_tags(ResourceName=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    ports = [one["Endpoint"]["Port"] for one in cluster["Nodes"]]
    assert cluster["ClusterDiscoveryEndpoint"]["Port"] == ports[0]
    assert nodes_seen(cluster) == [(ports[0], 1), (ports[1], 2)]

    tables = server.client()
    tables.create_table(
        TableName="life",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with client_of(cluster) as dax:
        dax.put_item(TableName="life", Item={"p": {"S": "k"}})
        assert "Item" in dax.get_item(TableName="life", Key={"p": {"S": "k"}})
    assert "Item" in tables.get_item(TableName="life", Key={"p": {"S": "k"}})

    with halted(server.pid):
        grown = control.increase_replication_factor(ClusterName="life", NewReplicationFactor=3)["Cluster"]
        assert (grown["Status"], [one["NodeStatus"] for one in grown["Nodes"]][2]) == ("modifying", "creating")
        assert refused(control.reboot_node, "InvalidClusterStateFault", ClusterName="life", NodeId="life-a")
    assert [one["NodeId"] for one in available(control, "life")["Nodes"]] == ["life-a", "life-b", "life-c"]

    with halted(server.pid):
        rebooted = control.reboot_node(ClusterName="life", NodeId="life-b")["Cluster"]
    assert [one["NodeStatus"] for one in rebooted["Nodes"]] == ["available", "rebooting", "available"]
    again = available(control, "life")
    assert [one["Endpoint"]["Port"] for one in again["Nodes"]][:2] == ports

    with halted(server.pid):
        shrunk = control.decrease_replication_factor(
            ClusterName="life", NewReplicationFactor=1, NodeIdsToRemove=["life-a", "life-c"]
        )
    assert shrunk["Cluster"]["NodeIdsToRemove"] == ["life-a", "life-c"]
    left = available(control, "life")
    assert nodes_seen(left) == [(ports[1], 1)]
    assert [one["NodeId"] for one in left["Nodes"]] == ["life-b"]

    with halted(server.pid):
        gone = control.delete_cluster(ClusterName="life")["Cluster"]
    assert (gone["Status"], [one["NodeStatus"] for one in gone["Nodes"]]) == ("deleting", ["deleting"])
    eventually(lambda: described(control, "life") is None)
    refused(control.describe_clusters, "ClusterNotFoundFault", ClusterNames=["life"])
    with pytest.raises(OSError, match="refused"):
        RawClient(left["ClusterDiscoveryEndpoint"]["URL"])
    assert set(messages(control, "life")) == {
        *(
            "Added node life-a.",
            "Added node life-b.",
            "Cluster created.",
            "Added node life-c.",
            "Rebooted node life-b.",
        ),
        *("Removed node life-a.", "Removed node life-b.", "Removed node life-c.", "Cluster deleted."),
    }


def test_clusters_stand_side_by_side_and_each_is_of_one_region(control: Any, server: Server) -> None:
    other = server.client("dax", region="eu-west-1")
    for one in (control, other):
        one.create_cluster(ClusterName="same", ReplicationFactor=1, **MADE)
    here, there = available(control, "same"), available(other, "same")
    assert here["ClusterDiscoveryEndpoint"]["Port"] != there["ClusterDiscoveryEndpoint"]["Port"]
    with RawClient(there["ClusterDiscoveryEndpoint"]["URL"]) as client:
        client.send(preamble(), authorization("us-east-1"), request(raw_client.ENDPOINTS))
        codes, text, _ = client.answer(1)
        assert codes == [4, 23, 31, 33]
        assert text == "Cluster same is of region eu-west-1, not of us-east-1"
    for one in (control, other):
        deleted(one, "same")


def test_a_dead_primary_is_replaced(control: Any, server: Server) -> None:
    control.create_cluster(ClusterName="ha", ReplicationFactor=2, **MADE)
    cluster = available(control, "ha")
    first, second = (one["Endpoint"]["Port"] for one in cluster["Nodes"])
    os.kill(process_of(first), signal.SIGKILL)
    with RawClient(f"dax://127.0.0.1:{first}") as client:  # The port stays, so who connects meanwhile waits.
        client.send(preamble(), authorization(), request(raw_client.ENDPOINTS))
        assert len(client.answer(1)[1]) > 0
    eventually(lambda: nodes_seen(cluster) == [(first, 1), (second, 2)])
    assert described(control, "ha") == cluster
    deleted(control, "ha")


def test_while_the_primary_does_not_serve_a_replica_is_primary() -> None:
    board = NodeBoard()
    names = [NodeName("s", "c", f"c-{letter}") for letter in "abc"]
    node = Node(cast(Any, SimpleNamespace(cache=None)), cast(Any, None), Place(names[1], board), "")

    def roles(*serving: bool) -> list[tuple[int, int]]:
        board.write([SeenNode(name, "z", 9, 0, one) for name, one in zip(names, serving, strict=True)])
        return [(one[0], one[4]) for one in cbor_of(node.endpoints("127.0.0.1"))]

    assert roles(True, True, True) == [(1, 1), (2, 2), (3, 2)]
    assert roles(False, True, True) == [(2, 1), (3, 2)]
    assert roles(False, False, True) == [(2, 1), (3, 2)]  # Itself it serves, whatever the board has.
    assert roles(True, False, False) == [(1, 1), (2, 2)]


def cbor_of(answer: bytes) -> Any:
    reader = raw_client.AnswerReader(answer)
    assert reader.value() == []
    return reader.value()


def test_clusters_are_there_again_after_the_server_was_killed(tmp_path: Path) -> None:
    server = Server(tmp_path / "log", data_dir=tmp_path / "data", dax_port=0)
    try:
        control = server.client("dax")
        control.create_cluster(ClusterName="kept", ReplicationFactor=2, **MADE)
        before = available(control, "kept")
        control.create_cluster(ClusterName="going", ReplicationFactor=1, **MADE)
        available(control, "going")
        control.delete_cluster(ClusterName="going")
        server.kill()
        server.restart()
        control = server.client("dax")
        after = available(control, "kept")
        assert after["Nodes"] == before["Nodes"]
        with client_of(after) as dax, pytest.raises(Exception, match="not found"):
            dax.get_item(TableName="absent", Key={"p": {"S": "k"}})
        eventually(lambda: described(control, "going") is None)
        checked = run_jedlik("check", "--data-dir", str(tmp_path / "data"))
        assert checked.returncode == 0, checked.stdout
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ({"ClusterName": "9x"}, "InvalidParameterValueException", "Cluster ID specified is not a valid identifier"),
        ({"ClusterName": "x--y"}, "InvalidParameterValueException", "Cluster ID specified is not a valid identifier"),
        ({"ClusterName": "x" * 21}, "InvalidParameterValueException", "A cluster name has at most 20 characters"),
        ({"ClusterName": "default"}, "InvalidParameterValueException", "default is the name of the cluster"),
        ({"IamRoleArn": "role"}, "InvalidParameterValueException", "ARNs must start with 'arn:': role"),
        ({"IamRoleArn": "arn:aws:iam"}, "InvalidParameterValueException", "Third colon vendor not found: arn:aws:iam"),
        ({"IamRoleArn": "arn:aws:iam::1:role/x"}, "InvalidParameterValueException", "Not the ARN of a role"),
        ({"NodeType": "m5.large"}, "InvalidParameterValueException", "Invalid node type: m5.large"),
        ({"ReplicationFactor": 0}, "InvalidParameterValueException", "The replication factor must be at least 1"),
        ({"ReplicationFactor": 12}, "NodeQuotaForClusterExceededFault", "A cluster may have 11 nodes"),
        ({"AvailabilityZones": ["a", "b"]}, "InvalidParameterCombinationException", "AvailabilityZones must name"),
        ({"AvailabilityZones": ["a b"]}, "InvalidParameterValueException", "Invalid availability zone: a b"),
        ({"SubnetGroupName": "absent"}, "SubnetGroupNotFoundFault", "Subnet group not found: absent"),
        ({"ParameterGroupName": "absent"}, "ParameterGroupNotFoundFault", "ParameterGroup not found: absent"),
        ({"SecurityGroupIds": ["sg-1"]}, "InvalidParameterValueException", "SecurityGroupIds cannot be set"),
        ({"NetworkType": "dual_stack"}, "InvalidParameterValueException", "Invalid NetworkType: dual_stack"),
        ({"ClusterEndpointEncryptionType": "TLS"}, "InvalidParameterCombinationException", "A cluster that takes TLS"),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "InvalidParameterValueException", "Invalid tag: aws:x"),
    ],
)
def test_a_cluster_that_is_refused(control: Any, request_: dict[str, Any], code: str, message: str) -> None:
    valid = {"ClusterName": "refused", "ReplicationFactor": 1, **MADE}
    assert refused(control.create_cluster, code, **(valid | request_)).startswith(message)
    assert described(control, "refused") is None


def test_refusals_of_clusters_that_are_not_there_or_not_as_asked(control: Any) -> None:
    absent = {"ClusterName": "absent"}
    refused(control.delete_cluster, "ClusterNotFoundFault", **absent)
    refused(control.update_cluster, "ClusterNotFoundFault", **absent)
    refused(control.reboot_node, "ClusterNotFoundFault", NodeId="absent-a", **absent)
    refused(control.increase_replication_factor, "ClusterNotFoundFault", NewReplicationFactor=2, **absent)
    refused(control.decrease_replication_factor, "ClusterNotFoundFault", NewReplicationFactor=2, **absent)
    control.create_cluster(ClusterName="one", ReplicationFactor=1, **MADE)
    refused(control.create_cluster, "ClusterAlreadyExistsFault", ClusterName="ONE", ReplicationFactor=1, **MADE)
    available(control, "one")
    one = {"ClusterName": "one"}
    refused(control.reboot_node, "NodeNotFoundFault", NodeId="one-b", **one)
    increase, decrease = control.increase_replication_factor, control.decrease_replication_factor
    refused(increase, "InvalidParameterValueException", NewReplicationFactor=1, **one)
    refused(increase, "NodeQuotaForClusterExceededFault", NewReplicationFactor=12, **one)
    refused(decrease, "InvalidParameterValueException", NewReplicationFactor=0, **one)
    refused(decrease, "InvalidParameterValueException", NewReplicationFactor=1, **one)
    deleted(control, "one")


def test_subnet_groups(control: Any) -> None:
    ids = ["subnet-0123abcd", "subnet-0123456789abcdef0"]
    made = control.create_subnet_group(SubnetGroupName="Net", Description="d", SubnetIds=ids)["SubnetGroup"]
    assert (made["SubnetGroupName"], made["Description"]) == ("net", "d")
    assert [one["SubnetIdentifier"] for one in made["Subnets"]] == ids
    assert control.describe_subnet_groups()["SubnetGroups"] == [made]
    refused(control.create_subnet_group, "SubnetGroupAlreadyExistsFault", SubnetGroupName="net", SubnetIds=ids)
    refused(control.create_subnet_group, "InvalidSubnet", SubnetGroupName="other", SubnetIds=["x"])
    many = [f"subnet-{number:08x}" for number in range(21)]
    refused(control.create_subnet_group, "SubnetQuotaExceededFault", SubnetGroupName="other", SubnetIds=many)
    refused(control.create_subnet_group, "InvalidParameterValueException", SubnetGroupName="9", SubnetIds=ids)
    updated = control.update_subnet_group(SubnetGroupName="net", SubnetIds=ids[:1])["SubnetGroup"]
    assert [one["SubnetIdentifier"] for one in updated["Subnets"]] == ids[:1]
    assert updated["Description"] == "d"
    created = control.create_cluster(ClusterName="netted", ReplicationFactor=1, SubnetGroupName="net", **MADE)
    assert created["Cluster"]["SubnetGroup"] == "net"
    refused(control.delete_subnet_group, "SubnetGroupInUseFault", SubnetGroupName="net")
    deleted(control, "netted")
    assert control.delete_subnet_group(SubnetGroupName="net")["DeletionMessage"]
    for call in (control.delete_subnet_group, control.update_subnet_group):
        refused(call, "SubnetGroupNotFoundFault", SubnetGroupName="net")
    refused(control.describe_subnet_groups, "SubnetGroupNotFoundFault", SubnetGroupNames=["net"])


def test_events(control: Any) -> None:
    control.create_parameter_group(ParameterGroupName="eventful")
    control.delete_parameter_group(ParameterGroupName="eventful")
    about = {"SourceType": "PARAMETER_GROUP", "SourceName": "eventful"}
    latest = control.describe_events(**about)["Events"]
    assert [one["Message"] for one in latest] == [
        "Parameter group eventful deleted.",
        "Parameter group eventful created.",
    ]
    assert {(one["SourceName"], one["SourceType"]) for one in latest} == {("eventful", "PARAMETER_GROUP")}
    now = datetime.now(UTC)
    assert control.describe_events(EndTime=now - timedelta(hours=1), **about)["Events"] == []
    assert len(control.describe_events(StartTime=now - timedelta(hours=1), **about)["Events"]) == 2
    assert len(control.describe_events(Duration=5, **about)["Events"]) == 2
    refused(control.describe_events, "InvalidParameterCombinationException", SourceName="eventful")
    refused(control.describe_events, "InvalidParameterValueException", SourceType="NODE")
    refused(control.describe_events, "InvalidParameterValueException", Duration=0)
