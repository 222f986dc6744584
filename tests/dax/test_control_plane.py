"""DAX's own API: the cluster that the server has, parameter groups and tags. In a region that no other test uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from amazondax import AmazonDaxClient
from botocore.exceptions import ClientError

from testing.dax.node_processes import process_of
from testing.jedlik_process import Server, eventually

REGION = "eu-north-1"
ARN = f"arn:aws:dax:{REGION}:000000000000:cache/default"


@pytest.fixture(scope="module")
def control(dax_server: Server) -> Any:
    return dax_server.client("dax", region=REGION)


@pytest.fixture
def group(control: Any) -> Iterator[str]:
    control.create_parameter_group(ParameterGroupName="short-lives", Description="For tests")
    yield "short-lives"
    control.update_cluster(ClusterName="default", ParameterGroupName="default.dax.1.0")
    control.delete_parameter_group(ParameterGroupName="short-lives")


def refused(call: Callable[..., Any], code: str, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    assert error.value.response["Error"]["Code"] == code
    message: str = error.value.response["Error"]["Message"]
    return message


def test_the_servers_cluster(dax_server: Server, control: Any) -> None:
    eventually(lambda: _statuses(control) == ["available"])
    [cluster] = control.describe_clusters()["Clusters"]
    port = urlsplit(dax_server.dax_url).port
    endpoint = {"Address": "127.0.0.1", "Port": port}
    cluster.pop("Description", None)  # Another test gives it one.
    [node] = cluster.pop("Nodes")
    assert node.pop("NodeCreateTime").year > 2000
    assert node == {
        "NodeId": "default-a",
        "Endpoint": endpoint,
        "AvailabilityZone": "local",
        "NodeStatus": "available",
        "ParameterGroupStatus": "in-sync",
    }
    assert cluster == {
        "ClusterName": "default",
        "ClusterArn": ARN,
        "TotalNodes": 1,
        "ActiveNodes": 1,
        "NodeType": "local",
        "Status": "available",
        "ClusterDiscoveryEndpoint": {**endpoint, "URL": dax_server.dax_url},
        "SecurityGroups": [],
        "ParameterGroup": {
            "ParameterGroupName": "default.dax.1.0",
            "ParameterApplyStatus": "in-sync",
            "NodeIdsToReboot": [],
        },
        "SSEDescription": {"Status": "DISABLED"},
        "ClusterEndpointEncryptionType": "NONE",
        "NetworkType": "ipv4",
    }
    assert control.describe_clusters(ClusterNames=["default"])["Clusters"]
    refused(control.describe_clusters, "ClusterNotFoundFault", ClusterNames=["other"])


def test_a_server_without_dax_has_no_cluster(server: Server) -> None:
    control = server.client("dax", region=REGION)
    assert control.describe_clusters()["Clusters"] == []
    refused(control.describe_clusters, "ClusterNotFoundFault", ClusterNames=["default"])


def test_what_the_settings_determine_is_refused(control: Any) -> None:
    own = {"ClusterName": "default"}
    message = refused(control.delete_cluster, "InvalidClusterStateFault", **own)
    assert message == "Cluster default is the server's own and cannot be deleted: see --dax and --dax-nodes"
    refused(control.increase_replication_factor, "InvalidClusterStateFault", NewReplicationFactor=2, **own)
    refused(control.decrease_replication_factor, "InvalidClusterStateFault", NewReplicationFactor=1, **own)
    made = {"NodeType": "local", "ReplicationFactor": 1, "IamRoleArn": "arn:aws:iam::000000000000:role/x"}
    refused(control.create_cluster, "ClusterAlreadyExistsFault", **own, **made)


def test_a_node_of_the_servers_cluster_is_rebooted(dax_server: Server, control: Any) -> None:
    eventually(lambda: _statuses(control) == ["available"])
    port = urlsplit(dax_server.dax_url).port or 0
    before = process_of(port)
    rebooted = control.reboot_node(ClusterName="default", NodeId="default-a")["Cluster"]
    assert [one["NodeStatus"] for one in rebooted["Nodes"]] == ["rebooting"]

    def is_another() -> bool:
        try:
            return process_of(port) != before
        except (LookupError, OSError):  # The connection has ended meanwhile.
            return False

    eventually(is_another)
    eventually(lambda: _statuses(control) == ["available"])
    refused(control.reboot_node, "NodeNotFoundFault", ClusterName="default", NodeId="default-b")


@pytest.mark.parametrize("length", [255, 256, 2_000, 100_000])
def test_names_that_nothing_has(control: Any, length: int) -> None:
    name = "x" * length
    refused(control.delete_cluster, "ClusterNotFoundFault", ClusterName=name)
    refused(control.reboot_node, "ClusterNotFoundFault", ClusterName=name, NodeId="a")
    refused(control.delete_parameter_group, "ParameterGroupNotFoundFault", ParameterGroupName=name)
    refused(control.describe_parameters, "ParameterGroupNotFoundFault", ParameterGroupName=name)
    refused(control.delete_subnet_group, "SubnetGroupNotFoundFault", SubnetGroupName=name)
    refused(control.update_cluster, "ParameterGroupNotFoundFault", ClusterName="default", ParameterGroupName=name)


def _statuses(control: Any) -> list[str]:
    [cluster] = control.describe_clusters()["Clusters"]
    return [one["NodeStatus"] for one in cluster["Nodes"]]


def test_parameters(control: Any, group: str) -> None:
    defaults = control.describe_default_parameters()["Parameters"]
    assert [(one["ParameterName"], one["ParameterValue"], one["Source"]) for one in defaults] == [
        ("query-ttl-millis", "300000", "system"),
        ("record-ttl-millis", "300000", "system"),
    ]
    assert control.describe_parameters(ParameterGroupName=group)["Parameters"] == defaults
    values = [{"ParameterName": "query-ttl-millis", "ParameterValue": "7"}]
    updated = control.update_parameter_group(ParameterGroupName=group, ParameterNameValues=values)
    assert updated["ParameterGroup"] == {"ParameterGroupName": group, "Description": "For tests"}
    [mine] = control.describe_parameters(ParameterGroupName=group, Source="user")["Parameters"]
    assert (mine["ParameterName"], mine["ParameterValue"]) == ("query-ttl-millis", "7")
    names = [one["ParameterGroupName"] for one in control.describe_parameter_groups()["ParameterGroups"]]
    assert names == ["default.dax.1.0", group]


def test_refusals_of_parameter_groups(control: Any, group: str) -> None:
    absent = {"ParameterGroupName": "absent"}
    refused(control.describe_parameters, "ParameterGroupNotFoundFault", **absent)
    refused(control.delete_parameter_group, "ParameterGroupNotFoundFault", **absent)
    refused(control.describe_parameter_groups, "ParameterGroupNotFoundFault", ParameterGroupNames=["absent"])
    refused(control.update_cluster, "ParameterGroupNotFoundFault", ClusterName="default", **absent)
    refused(control.create_parameter_group, "ParameterGroupAlreadyExistsFault", ParameterGroupName=group)
    refused(control.create_parameter_group, "InvalidParameterValueException", ParameterGroupName="9--")
    default = {"ParameterGroupName": "default.dax.1.0"}
    refused(control.delete_parameter_group, "InvalidParameterGroupStateFault", **default)
    value = {"ParameterNameValues": [{"ParameterName": "query-ttl-millis", "ParameterValue": "x"}]}
    refused(control.update_parameter_group, "InvalidParameterValueException", ParameterGroupName=group, **value)
    value["ParameterNameValues"][0]["ParameterValue"] = "1"
    refused(control.update_parameter_group, "InvalidParameterGroupStateFault", **default, **value)
    value["ParameterNameValues"][0]["ParameterName"] = "other"
    refused(control.update_parameter_group, "InvalidParameterValueException", ParameterGroupName=group, **value)
    control.update_cluster(ClusterName="default", ParameterGroupName=group)
    refused(control.delete_parameter_group, "InvalidParameterGroupStateFault", ParameterGroupName=group)
    refused(control.describe_default_parameters, "InvalidParameterValueException", MaxResults=1)
    window = {"ClusterName": "default", "PreferredMaintenanceWindow": "sun:01:00-sun:09:00"}
    refused(control.update_cluster, "InvalidParameterValueException", **window)


def test_tags(control: Any) -> None:
    assert control.list_tags(ResourceName=ARN)["Tags"] == []
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    assert control.tag_resource(ResourceName=ARN, Tags=tags)["Tags"] == tags
    assert control.untag_resource(ResourceName=ARN, TagKeys=["a"])["Tags"] == tags[1:]
    assert control.list_tags(ResourceName=ARN)["Tags"] == tags[1:]
    refused(control.untag_resource, "TagNotFoundFault", ResourceName=ARN, TagKeys=["a"])
    refused(control.list_tags, "InvalidARNFault", ResourceName="arn:aws:dax:eu-west-1:000000000000:cache/default")
    refused(control.list_tags, "ClusterNotFoundFault", ResourceName=ARN + "s")
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    refused(control.tag_resource, "TagQuotaPerResourceExceeded", ResourceName=ARN, Tags=many)
    refused(control.tag_resource, "InvalidParameterValueException", ResourceName=ARN, Tags=[{"Key": "", "Value": ""}])
    control.untag_resource(ResourceName=ARN, TagKeys=["b"])


def test_a_cluster_caches_for_as_long_as_its_parameter_group_has_it(
    dax_server: Server, control: Any, group: str
) -> None:
    tables = dax_server.client(region=REGION)
    tables.create_table(
        TableName="short",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    values = [{"ParameterName": name, "ParameterValue": "0"} for name in ("query-ttl-millis", "record-ttl-millis")]
    with AmazonDaxClient(
        endpoint_url=dax_server.dax_url, region_name=REGION, aws_access_key_id="AK", aws_secret_access_key="SK"
    ) as dax:
        number = 0

        def sees() -> tuple[bool, bool]:
            """Whether an item and a page are as the table has them, of an item that DAX has just not found."""
            nonlocal number
            number += 1
            key = {"p": {"S": str(number)}}
            page = {
                "TableName": "short",
                "KeyConditionExpression": "p = :p",
                "ExpressionAttributeValues": {":p": key["p"]},
            }
            assert "Item" not in dax.get_item(TableName="short", Key=key)
            assert dax.query(**page)["Count"] == 0
            tables.put_item(TableName="short", Item=key)
            return "Item" in dax.get_item(TableName="short", Key=key), dax.query(**page)["Count"] == 1

        assert sees() == (False, False)
        control.update_parameter_group(ParameterGroupName=group, ParameterNameValues=values)
        control.update_cluster(ClusterName="default", ParameterGroupName=group, Description="Keeps nothing")
        eventually(lambda: sees() == (True, True))
    [cluster] = control.describe_clusters()["Clusters"]
    assert cluster["Description"] == "Keeps nothing"
    assert cluster["ParameterGroup"]["ParameterGroupName"] == group
