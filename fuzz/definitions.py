"""Tables with everything that a table can have, items in them, and a valid request for every operation."""

from __future__ import annotations

from typing import Any

from fuzz.service import Service

MUSIC = "Music"
PLAIN = "Plain"


def attribute(name: str, type_: str) -> dict[str, str]:
    """An attribute definition."""
    return {"AttributeName": name, "AttributeType": type_}


def key_schema(*names: str, partition: int = 1) -> list[dict[str, str]]:
    """A key schema whose first `partition` attributes are the partition key."""
    return [
        {"AttributeName": name, "KeyType": "HASH" if number < partition else "RANGE"}
        for number, name in enumerate(names)
    ]


TABLES: list[dict[str, Any]] = [
    {
        "TableName": MUSIC,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            attribute("p", "S"),
            attribute("n", "N"),
            attribute("g", "S"),
            attribute("h", "N"),
            attribute("i", "B"),
            attribute("l", "S"),
        ],
        "KeySchema": key_schema("p", "n"),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "global",
                "KeySchema": key_schema("g", "h", "i", "l", partition=2),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
            },
        ],
        "LocalSecondaryIndexes": [
            {"IndexName": "local", "KeySchema": key_schema("p", "l"), "Projection": {"ProjectionType": "KEYS_ONLY"}},
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Tags": [{"Key": "k", "Value": "v"}],
    },
    {
        "TableName": PLAIN,
        "AttributeDefinitions": [attribute("k", "B")],
        "KeySchema": key_schema("k"),
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    },
]
ITEM: dict[str, Any] = {
    "p": {"S": "x"},
    "n": {"N": "1"},
    "g": {"S": "g"},
    "h": {"N": "-2.5"},
    "i": {"B": "AAE="},
    "l": {"S": "l"},
    "a": {"L": [{"N": "1"}, {"S": "é"}, {"M": {"b": {"BOOL": True}, "c": {"NULL": True}}}]},
    "b": {"SS": ["x", "y"]},
    "c": {"NS": ["1", "2.5"]},
    "d": {"BS": ["AA==", "AQ=="]},
    "e": {"M": {"f": {"N": "7"}, "g": {"S": ""}}},
    "t": {"N": "1800000100"},
}
KEY = {name: ITEM[name] for name in ("p", "n")}
PLAIN_ITEM: dict[str, Any] = {"k": {"B": "AA=="}, "s": {"S": "text"}}
PLAIN_KEY = {"k": PLAIN_ITEM["k"]}
ARN = f"arn:aws:dynamodb:us-east-1:000000000000:table/{MUSIC}"
RETURN = {
    "ReturnConsumedCapacity": "INDEXES",
    "ReturnItemCollectionMetrics": "SIZE",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("PutItem", {"TableName": MUSIC, "Item": ITEM, "ReturnValues": "ALL_OLD", **RETURN}),
    ("PutItem", {"TableName": PLAIN, "Item": PLAIN_ITEM, "ConditionExpression": "attribute_not_exists(k)"}),
    (
        "PutItem",
        {
            "TableName": MUSIC,
            "Item": ITEM,
            "Expected": {"n": {"ComparisonOperator": "GE", "AttributeValueList": [{"N": "1"}]}, "z": {"Exists": False}},
            "ConditionalOperator": "OR",
        },
    ),
    (
        "GetItem",
        {
            "TableName": MUSIC,
            "Key": KEY,
            "ConsistentRead": True,
            "ProjectionExpression": "a[2].b, #e.f, p",
            "ExpressionAttributeNames": {"#e": "e"},
            "ReturnConsumedCapacity": "TOTAL",
        },
    ),
    ("GetItem", {"TableName": PLAIN, "Key": PLAIN_KEY, "AttributesToGet": ["s"]}),
    (
        "UpdateItem",
        {
            "TableName": MUSIC,
            "Key": KEY,
            "UpdateExpression": "SET e.f = e.f + :n, a = list_append(a, :l) REMOVE t ADD b :s DELETE c :c",
            "ConditionExpression": "size(a) BETWEEN :n AND :m AND NOT contains(b, :x) AND p IN (:x, :m)",
            "ExpressionAttributeValues": {
                ":n": {"N": "1"},
                ":m": {"N": "9"},
                ":l": {"L": [{"N": "3"}]},
                ":s": {"SS": ["z"]},
                ":c": {"NS": ["1"]},
                ":x": {"S": "x"},
            },
            "ReturnValues": "UPDATED_NEW",
            **RETURN,
        },
    ),
    (
        "UpdateItem",
        {
            "TableName": MUSIC,
            "Key": KEY,
            "AttributeUpdates": {
                "t": {"Action": "ADD", "Value": {"N": "1"}},
                "b": {"Action": "DELETE", "Value": {"SS": ["x"]}},
                "s": {"Value": {"S": "s"}},
            },
            "Expected": {"e": {"Value": ITEM["e"]}},
        },
    ),
    ("DeleteItem", {"TableName": MUSIC, "Key": KEY, "ReturnValues": "ALL_OLD", **RETURN}),
    (
        "Query",
        {
            "TableName": MUSIC,
            "KeyConditionExpression": "p = :p AND n BETWEEN :n AND :m",
            "FilterExpression": "attribute_type(a, :t) OR e.f < :m",
            "ExpressionAttributeValues": {
                ":p": {"S": "x"},
                ":n": {"N": "0"},
                ":m": {"N": "9"},
                ":t": {"S": "L"},
            },
            "ProjectionExpression": "a",
            "ScanIndexForward": False,
            "Limit": 1,
            "Select": "SPECIFIC_ATTRIBUTES",
            "ReturnConsumedCapacity": "INDEXES",
        },
    ),
    (
        "Query",
        {
            "TableName": MUSIC,
            "IndexName": "global",
            "KeyConditionExpression": "g = :g AND h = :h AND i = :i AND begins_with(l, :l)",
            "ExpressionAttributeValues": {
                ":g": {"S": "g"},
                ":h": {"N": "-2.5"},
                ":i": {"B": "AAE="},
                ":l": {"S": "l"},
            },
            "ExclusiveStartKey": {name: ITEM[name] for name in ("p", "n", "g", "h", "i", "l")},
            "Select": "COUNT",
        },
    ),
    (
        "Query",
        {
            "TableName": MUSIC,
            "IndexName": "local",
            "KeyConditions": {
                "p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]},
                "l": {"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"S": "l"}]},
            },
            "QueryFilter": {"n": {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "1"}, {"N": "2"}]}},
            "AttributesToGet": ["p"],
        },
    ),
    (
        "Scan",
        {
            "TableName": MUSIC,
            "FilterExpression": "contains(#a, :v) AND size(b) > :n",
            "ExpressionAttributeNames": {"#a": "a"},
            "ExpressionAttributeValues": {":v": {"N": "1"}, ":n": {"N": "1"}},
            "Segment": 0,
            "TotalSegments": 3,
            "Limit": 2,
            "ExclusiveStartKey": KEY,
        },
    ),
    (
        "Scan",
        {
            "TableName": MUSIC,
            "IndexName": "global",
            "ScanFilter": {"a": {"ComparisonOperator": "NOT_CONTAINS", "AttributeValueList": [{"S": "z"}]}},
        },
    ),
    (
        "BatchGetItem",
        {
            "RequestItems": {
                MUSIC: {"Keys": [KEY], "ProjectionExpression": "a", "ConsistentRead": True},
                PLAIN: {"Keys": [PLAIN_KEY], "AttributesToGet": ["s"]},
            },
            "ReturnConsumedCapacity": "TOTAL",
        },
    ),
    (
        "BatchWriteItem",
        {
            "RequestItems": {
                MUSIC: [{"DeleteRequest": {"Key": KEY}}, {"PutRequest": {"Item": {**ITEM, "n": {"N": "2"}}}}],
                PLAIN: [{"PutRequest": {"Item": PLAIN_ITEM}}],
            },
            "ReturnConsumedCapacity": "INDEXES",
            "ReturnItemCollectionMetrics": "SIZE",
        },
    ),
    (
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {"TableName": PLAIN, "Item": PLAIN_ITEM}},
                {
                    "Update": {
                        "TableName": MUSIC,
                        "Key": KEY,
                        "UpdateExpression": "SET t = t + :n",
                        "ConditionExpression": "attribute_exists(t)",
                        "ExpressionAttributeValues": {":n": {"N": "1"}},
                    }
                },
                {"Delete": {"TableName": MUSIC, "Key": {**KEY, "n": {"N": "2"}}}},
                {
                    "ConditionCheck": {
                        "TableName": MUSIC,
                        "Key": {**KEY, "n": {"N": "3"}},
                        "ConditionExpression": "attribute_not_exists(p)",
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
            ],
            "ClientRequestToken": "token",
            "ReturnConsumedCapacity": "INDEXES",
        },
    ),
    (
        "TransactGetItems",
        {
            "TransactItems": [
                {"Get": {"TableName": MUSIC, "Key": KEY, "ProjectionExpression": "e"}},
                {"Get": {"TableName": PLAIN, "Key": PLAIN_KEY}},
            ],
            "ReturnConsumedCapacity": "TOTAL",
        },
    ),
    (
        "ExecuteStatement",
        {
            "Statement": 'SELECT a, e.f FROM "Music" WHERE p = ? AND n >= 1 ORDER BY n DESC',
            "Parameters": [{"S": "x"}],
            "ConsistentRead": True,
            "Limit": 1,
            "NextToken": "AAAA",
            "ReturnConsumedCapacity": "INDEXES",
        },
    ),
    (
        "ExecuteStatement",
        {"Statement": "INSERT INTO Plain VALUE {'k': ?, 's': <<1, 2>>}", "Parameters": [{"B": "Ag=="}]},
    ),
    (
        "BatchExecuteStatement",
        {
            "Statements": [
                {"Statement": "SELECT * FROM Music WHERE p = 'x' AND n = 1"},
                {"Statement": "SELECT * FROM Plain WHERE k = ?", "Parameters": [{"B": "AA=="}], "ConsistentRead": True},
            ],
            "ReturnConsumedCapacity": "TOTAL",
        },
    ),
    (
        "ExecuteTransaction",
        {
            "TransactStatements": [
                {"Statement": "UPDATE Music SET t = t + 1 WHERE p = 'x' AND n = 1"},
                {"Statement": "EXISTS(SELECT * FROM Plain WHERE k = ?)", "Parameters": [{"B": "AA=="}]},
            ],
            "ClientRequestToken": "other",
        },
    ),
    ("DescribeTable", {"TableName": ARN}),
    ("ListTables", {"ExclusiveStartTableName": "Mus", "Limit": 1}),
    ("CreateTable", {**TABLES[0], "TableName": "Made", "DeletionProtectionEnabled": True, "TableClass": "STANDARD"}),
    (
        "CreateTable",
        {
            **TABLES[1],
            "TableName": "Other",
            "SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "k"},
            "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000},
        },
    ),
    (
        "UpdateTable",
        {
            "TableName": PLAIN,
            "AttributeDefinitions": [attribute("k", "B"), attribute("g", "S")],
            "GlobalSecondaryIndexUpdates": [
                {
                    "Create": {
                        "IndexName": "new",
                        "KeySchema": key_schema("g"),
                        "Projection": {"ProjectionType": "ALL"},
                        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
                    }
                }
            ],
        },
    ),
    (
        "UpdateTable",
        {
            "TableName": MUSIC,
            "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "global"}}],
            "OnDemandThroughput": {"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1},
        },
    ),
    ("UpdateTable", {"TableName": MUSIC, "StreamSpecification": {"StreamEnabled": False}}),
    ("UpdateTable", {"TableName": PLAIN, "TableClass": "STANDARD_INFREQUENT_ACCESS"}),
    (
        "UpdateTable",
        {
            "TableName": PLAIN,
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 6, "WriteCapacityUnits": 7},
            "DeletionProtectionEnabled": True,
        },
    ),
    ("DeleteTable", {"TableName": MUSIC}),
    ("TagResource", {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "b"}]}),
    ("UntagResource", {"ResourceArn": ARN, "TagKeys": ["k"]}),
    ("ListTagsOfResource", {"ResourceArn": ARN, "NextToken": "x"}),
    ("UpdateTimeToLive", {"TableName": PLAIN, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "t"}}),
    ("DescribeTimeToLive", {"TableName": MUSIC}),
    ("DescribeLimits", {}),
    ("DescribeEndpoints", {}),
    (
        "ListStreams",
        {"TableName": MUSIC, "Limit": 1, "ExclusiveStartStreamArn": f"{ARN}/stream/2027-01-15T08:00:00.000"},
    ),
]
"""Operations with requests that are accepted, or refused only because of the store's contents."""


def stocked() -> Service:
    """A region with the tables, items in them, a time to live, and a stream that has records."""
    service = Service()
    for table in TABLES:
        service.ask("CreateTable", **table)
    service.ask("UpdateTimeToLive", TableName=MUSIC, TimeToLiveSpecification={"Enabled": True, "AttributeName": "t"})
    for number in ("1", "2", "30"):
        service.ask("PutItem", TableName=MUSIC, Item={**ITEM, "n": {"N": number}})
    service.ask("PutItem", TableName=PLAIN, Item=PLAIN_ITEM)
    service.keep()
    return service


def stream_requests(service: Service) -> list[tuple[str, dict[str, Any]]]:
    """Requests for the stream, which has its own name in each run."""
    arn = service.ask("DescribeTable", TableName=MUSIC)["Table"]["LatestStreamArn"]
    shard = service.ask_streams("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    wanted = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = service.ask_streams("GetShardIterator", **wanted)["ShardIterator"]
    first = service.ask_streams("GetRecords", ShardIterator=iterator)["Records"][0]["dynamodb"]["SequenceNumber"]
    return [
        ("DescribeStream", {"StreamArn": arn, "Limit": 1, "ExclusiveStartShardId": shard}),
        ("GetShardIterator", {**wanted, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": first}),
        ("GetRecords", {"ShardIterator": iterator, "Limit": 2}),
    ]
