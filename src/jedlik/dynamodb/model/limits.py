"""DynamoDB's limits, under the names of its documentation.

Source: "Quotas in Amazon DynamoDB" and "Service, account, and table quotas" in the developer guide.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

ITEM_SIZE = 400 * KIB
"""An item, names and values together."""
PARTITION_KEY_SIZE = 2048
"""A partition key's value; all of them together in an index with several."""
SORT_KEY_SIZE = 1024
"""A sort key's value; all of them together in an index with several."""
ITEM_COLLECTION_SIZE = 10 * GIB
"""All items of one partition key, with their entries in local indexes, in a table that has local indexes."""
NESTING_DEPTH = 32
"""Levels of lists and maps in an attribute value."""
ATTRIBUTE_NAME_SIZE = 64 * KIB - 1
"""An attribute's name."""

PAGE_SIZE = MIB
"""The most that one Query or Scan reads before it must be continued."""
BATCH_GET_ITEMS = 100
BATCH_GET_SIZE = 16 * MIB
BATCH_WRITE_ITEMS = 25
TRANSACTION_SIZE = 4 * MIB

EXPRESSION_SIZE = 4 * KIB
"""An expression's text."""
EXPRESSION_OPERATORS = 300
"""Operators and functions in one expression."""
IN_OPERANDS = 100
"""Operands of IN."""
PLACEHOLDER_SIZE = 255
"""The name of a placeholder, with its # or :."""
SUBSTITUTION_SIZE = 2 * MIB
"""All placeholders' names and values together."""

GLOBAL_INDEXES = 20
LOCAL_INDEXES = 5
INDEX_KEY_ATTRIBUTES = 4
"""Attributes of a global index's partition key, and of its sort key (November 2025)."""
PROJECTED_ATTRIBUTES = 100
"""Non-key attributes named by all INCLUDE projections of a table."""
TAGS = 50
TAG_KEY_LENGTH = 128
TAG_VALUE_LENGTH = 256
TABLES = 10_000
"""Tables in a region."""

GET_RECORDS_COUNT = 1000
GET_RECORDS_SIZE = MIB
SHARD_ITERATOR_SECONDS = 15 * 60
"""How long a shard iterator can be used."""
STREAM_RETENTION_SECONDS = 24 * 60 * 60
"""How long a stream's records, and a disabled stream, can be read."""
IDEMPOTENCY_SECONDS = 10 * 60
"""How long a transaction's client token is remembered."""
EXPIRY_HORIZON_SECONDS = 5 * 365 * 24 * 60 * 60
"""An item whose time to live lies further back than this is never deleted."""
TTL_CHANGE_SECONDS = 60 * 60
"""How long after a change of a table's time to live the next one is refused."""
PARTITION_SIZE = 10 * 1024 * MIB
"""A partition of a table."""

TABLE_UNITS = 40_000
"""Table-level read and write throughput quota, each, of a table and of an index."""
ACCOUNT_UNITS = 80_000
"""Account-level read and write throughput quota, each."""
RESOURCE_POLICY_SIZE = 20 * KIB
"""A resource-based policy."""

CONCURRENT_RESTORES = 50
CONCURRENT_IMPORTS = 50
CONCURRENT_EXPORTS = 300
CONCURRENT_BULK_OPERATIONS = 50
"""Like imports: AWS's limit is in no document that could be read. All four are for an account in a region."""
IMPORT_OBJECTS = 50_000
"""Objects of one import."""
IMPORT_SIZE = 15 * 10**12
"""All objects of an import. AWS's limit is for all imports of an account together."""
SHORTEST_EXPORT_SECONDS = 15 * 60
LONGEST_EXPORT_SECONDS = 24 * 60 * 60
"""The window of an incremental export."""

COLLECTION_LENGTH = 20_000
"""Elements of a collection for which DynamoDB states no limit: old conditions and all their operands together,
definitions, tags. This limit is ours: many times what any request needs, and checked in a tenth of a second."""
