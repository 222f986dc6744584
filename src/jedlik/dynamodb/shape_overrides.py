"""Where DynamoDB departs from its published service model, as data; `request_shapes` has what must be programmed.

The model in botocore describes what clients may send; the service checks much the same, with exceptions that
only its answers show. Names are the model's.

Sources: answers of DynamoDB to malformed requests, as recorded in public conformance suites, 2019 to 2026; where its
operations use different words, those that `wording` names.
"""

from __future__ import annotations

from typing import Any

from jedlik.dynamodb.model.limits import COLLECTION_LENGTH

OPAQUE = frozenset({"AttributeValue"})
"""Checked elsewhere: attribute values are checked and normalised in one walk of their own (`model.values`)."""

ENUM_SETS: dict[str, list[str]] = {
    "AttributeAction": ["ADD", "DELETE", "PUT"],
    "ComparisonOperator": [
        "IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL", "NE", "LE", "BEGINS_WITH", "GE",
        "CONTAINS",
    ],
    "ConditionalOperator": ["OR", "AND"],
    "ProjectionType": ["ALL", "INCLUDE", "KEYS_ONLY"],
    "ReturnValue": ["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"],
    "ScalarAttributeType": ["B", "N", "S"],
    "Select": ["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"],
    "StreamViewType": ["OLD_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES", "NEW_IMAGE"],
}  # fmt: skip
"""Enumerations in the order in which the error message lists them."""

NEWER_ENUM_SETS = {
    "ConditionalOperator": "ALL, OR",
    "ReturnValue": "ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE",
}
"""The words of AWS's newer checker (`wording`) about enumerations. The errors in them are AWS's: it accepts the values
that the other texts list."""

TOLD_ALONE: dict[str, tuple[str, ...]] = {
    "PutItemInput": ("TableName",),
    "DeleteItemInput": ("TableName",),
    "UpdateItemInput": ("TableName", "ReturnValues", "ConditionalOperator"),
    "QueryInput": ("ConditionalOperator",),
}
"""The inputs whose enumerations the newer checker checks, with the members whose fault it reports alone and before all
others: the emptiness of a table's name, and values that are not in an enumeration."""

GIVING_WAY = {"BatchWriteItemInput": "RequestItems"}
"""A member of a structure that is checked only if there is no fault in those before it."""

SHOWN_AS_JSON = frozenset({"BatchGetRequestMap"})
"""Shapes whose values errors show as their original JSON, and not as Java prints them."""

HIDDEN_MEMBERS = {"PutRequest": ("workloadProfileName",)}
"""Members of structures that AWS has beyond those of its published model; errors show them as null."""

FIRST_MEMBERS: dict[str, tuple[str, ...]] = {
    "AttributeDefinition": ("AttributeType",),
    "BatchWriteItemInput": ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
    "CreateTableInput": ("AttributeDefinitions", "TableName", "KeySchema", "GlobalSecondaryIndexes"),
    "DeleteItemInput": ("TableName", "Key", "ReturnConsumedCapacity"),
    "ProvisionedThroughput": ("WriteCapacityUnits",),
    "PutItemInput": ("ReturnConsumedCapacity", "ReturnValues"),
    "TransactWriteItemsInput": ("ClientRequestToken",),
    "UpdateItemInput": ("ReturnConsumedCapacity", "TableName", "ReturnValues", "ConditionalOperator"),
}
"""Members that are checked before the others of their structure, which have the model's order."""

PLACEHOLDERS = 4096
"""More of them than fit into the expressions of a request, of 4 KB each, so some would be unused."""

SHAPES: dict[str, dict[str, Any]] = {
    # The operations themselves make the errors for these.
    "TableClass": {"type": "string"},
    "TagKeyString": {"type": "string"},
    "TagValueString": {"type": "string"},
    "ResourceArnString": {"type": "string"},
    "Tag": {"required": []},
    "BatchWriteItemRequestMap": {"min": 0},
    # Their patterns are in Java's dialect; auto scaling is refused in any case.
    "AutoScalingPolicyName": {"type": "string"},
    "AutoScalingRoleArn": {"type": "string"},
    # Required unless the request joins a global table, which the model cannot express.
    "CreateTableInput": {"required": ["AttributeDefinitions", "TableName", "KeySchema"]},
    # Collections of attribute values that are no attribute's value.
    "AttributeValueList": {"max": COLLECTION_LENGTH},
    "ExpressionAttributeNameMap": {"max": PLACEHOLDERS},
    "ExpressionAttributeValueMap": {"max": PLACEHOLDERS},
    "PreparedStatementParameters": {"max": COLLECTION_LENGTH},
}
"""Shapes whose definition is replaced (by one with a type) or amended."""

MEMBERS: dict[tuple[str, str], dict[str, Any]] = {
    # Global indexes may have more attributes in their keys, and share the shape.
    ("CreateTableInput", "KeySchema"): {"max": 2},
    ("LocalSecondaryIndex", "KeySchema"): {"max": 2},
    ("ListStreamsInput", "Limit"): {"max": 100},
    ("DescribeStreamInput", "Limit"): {"max": 100},
    ("GetRecordsInput", "Limit"): {"max": 1000},
}
"""Constraints on a member of a structure beyond those of its shape."""

TERSE = frozenset({("BatchGetItemInput", "RequestItems"), ("QueryInput", "Limit"), ("KeysAndAttributes", "Keys")})
"""Members whose error names them as in the request and does not show the value."""

TABLE_NAMES = "TableArn"
"""The shape of a table's name or ARN, which is checked as the one or the other (`table_names`)."""

TABLE_REQUIRED = frozenset({"CreateTableInput", "DescribeTableInput", "UpdateTableInput", "DeleteTableInput"})
"""Inputs of the operations on tables, which require a name of three characters and report a missing one in words of
their own."""
