"""The known differences from Amazon DynamoDB, with reasons. Operations that are not built yet are not here: they are
refused."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    about: str
    """The operations, members or other things concerned."""
    here: str
    """What Jedlik does differently from DynamoDB."""
    reason: str


DIFFERENCES = (
    Difference(
        "`ConsistentRead`, secondary indexes",
        "Every read is strongly consistent, and indexes never lag behind the table.",
        "There is one copy of the data in a region, and index entries are written in the commit of their item.",
    ),
    Difference(
        "`ProvisionedThroughput`, `OnDemandThroughput`, `WarmThroughput`",
        "Stored, shown and counted in `ConsumedCapacity`; nothing is throttled.",
        "Throttling is not built yet.",
    ),
    Difference(
        "`ItemCount`, `TableSizeBytes`, `IndexSizeBytes`",
        "Exact and of this moment, not six hours old.",
        "The counters are kept in the commit of each write, so the true figures cost nothing.",
    ),
    Difference(
        "`CreateTable`, `UpdateTable`, `DeleteTable`",
        "Take effect with their answer, which shows CREATING, UPDATING or DELETING all the same. Only a new index and "
        "a replica take time.",
        "There is nothing to wait for; a client that waits for ACTIVE finds it at its first look.",
    ),
    Difference(
        "`TransactWriteItems`, `TransactGetItems`, `ExecuteTransaction`",
        "Transactions that meet are put in order; TransactionConflict is never told.",
        "Nothing holds an item between reading and committing, so the second is decided over what the first left.",
    ),
    Difference(
        "`BatchWriteItem`, `BatchGetItem`",
        "A batch is written in one commit and read in one snapshot. Nothing is unprocessed but keys beyond 16 MB.",
        "It is the cheapest way here, and more than DynamoDB promises.",
    ),
    Difference(
        "`DeleteTable`, `ImportTable`",
        "To delete a table that is being imported cancels its import.",
        "There is no other way to cancel one, and AWS does not document any.",
    ),
    Difference(
        "`ExportTableToPointInTime.FilterSpecification`",
        "In an incremental export, a change is exported if the item satisfies the filter before it or after it.",
        "AWS does not document it; a copy that follows must learn that an item has left.",
    ),
    Difference(
        "`StartBulkPutItems`",
        "A condition stands beside the Item of its record, in the members of PutItem; the report has the folders "
        "`errors` and `condition-check-failures`.",
        "AWS's pages on their forms could not be read.",
    ),
    Difference(
        "Collections in requests",
        "Those for which DynamoDB states no limit (old conditions and their operands, definitions, tags) may have "
        "20,000 elements; `ExpressionAttributeNames` and `ExpressionAttributeValues` 4,096.",
        "One request must not keep all others waiting.",
    ),
    Difference(
        "`ListTagsOfResource.NextToken`",
        "All tags of a resource come in one answer, so no token is given, and none is looked at.",
        "There are 50 at the most.",
    ),
    Difference(
        "Requests far over a limit",
        "May be refused for their size where DynamoDB tells another mistake in them first.",
        "What is too large to be right is not looked at to its end.",
    ),
    Difference(
        "Size of an update",
        "An `UpdateItem` with an `UpdateExpression` is charged for its statement; an `Update` in a transaction is not.",
        "As in us-east-1 and most regions on the date that is followed; three others had begun to charge both.",
    ),
    Difference(
        "Time to live",
        "Items go within seconds of their time (`--expiry-interval`), not within days.",
        "DynamoDB promises no more than that it will be done; applications must not rely on the delay.",
    ),
    Difference(
        "`UpdateTable.ReplicaUpdates`",
        "A table with provisioned throughput may have replicas without auto scaling, a replica that is being made may "
        "be deleted again, and a table is ACTIVE while one of its replicas is being deleted.",
        "Nothing is throttled, so replication cannot be; and a region may be down for as long as it likes.",
    ),
    Difference(
        "`UpdateTable.ReplicaUpdates.Disassociate`",
        "What is written to the replica after the request is its own and comes to no other. The texts of its refusals, "
        "and of those of `DisassociationProtectionEnabled`, are Jedlik's.",
        "AWS says that the replica can be used meanwhile, but not what becomes of such writes; no texts are recorded.",
    ),
    Difference(
        "`UpdateTable.MultiRegionConsistency`",
        "STRONG is refused.",
        "Strong consistency between regions is not built yet.",
    ),
    Difference(
        "`CreateGlobalTable` and the other operations of 2017",
        "Make global tables, which on AWS they do no more, and see those that `UpdateTable` makes.",
        "There is one kind of global table here, that of 2019.11.21.",
    ),
    Difference(
        "Regions and accounts",
        "With `--auth off` any name of letters, digits, `-` and `_` is a region, twelve digits are an account, and "
        "every account may use another's tables by their ARNs.",
        "Tools and tests name regions that AWS does not have.",
    ),
    Difference(
        "Permissions",
        "With `--auth on` whoever has an access key may do everything.",
        "IAM is not built yet.",
    ),
)
