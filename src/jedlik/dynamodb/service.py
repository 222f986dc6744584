"""The services of this folder: DynamoDB, DynamoDB Streams, and the one by which regions speak to each other."""

from __future__ import annotations

from jedlik.aws import peer_signatures
from jedlik.aws.protocols import json_1_0
from jedlik.aws.service import Service
from jedlik.background import sealing
from jedlik.dynamodb.backups import (
    archiving,
    backup_removal,
    bulk_puts,
    exporting,
    holds,
    importing,
    last_backups,
    recovery_plans,
    restores,
    table_copies,
)
from jedlik.dynamodb.capacity import cloudwatch
from jedlik.dynamodb.checks import every_table, recovery_check, scrubbing, small_records, strays, stream_check
from jedlik.dynamodb.encryption import key_changes, key_watch, open_keys
from jedlik.dynamodb.items import expiring, old_tokens
from jedlik.dynamodb.model import descriptors, spaces
from jedlik.dynamodb.operations import OPERATIONS, PEER_OPERATIONS, STREAMS_OPERATIONS
from jedlik.dynamodb.replication import membership, replicated, serving
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.tables import backfill, purge

SERVICE = Service(
    name="dynamodb",
    signing_name="dynamodb",
    api_version="2012-08-10",
    codec=json_1_0.CODEC,
    target_prefix="DynamoDB_20120810",
    operations=OPERATIONS,
    keyspaces=spaces.KEYSPACES,
    job_kinds=(
        archiving.REMOVAL_JOB,
        backfill.JOB,
        backup_removal.JOB,
        bulk_puts.JOB,
        expiring.JOB,
        exporting.JOB,
        importing.JOB,
        membership.DEPARTURE_JOB,
        membership.REPLICA_JOB,
        purge.JOB,
        recovery_plans.JOB,
        restores.JOB,
        key_changes.JOB,
        table_copies.JOB,
    ),
    duties=(
        archiving.duty,
        expiring.duty,
        holds.duty,
        key_watch.duty,
        last_backups.duty,
        old_tokens.duty,
        open_keys.duty,
        scrubbing.duty,
        sealing.duty,
    ),
    checks=(small_records.CHECK, every_table.CHECK, recovery_check.CHECK, strays.CHECK),
    standing=(replicated.any_of,),
    metrics=(*cloudwatch.METRICS, *scrubbing.METRICS),
)

STREAMS = Service(
    name="dynamodbstreams",
    signing_name="dynamodb",
    api_version="2012-08-10",
    codec=json_1_0.CODEC,
    target_prefix="DynamoDBStreams_20120810",
    operations=STREAMS_OPERATIONS,
    duties=(shard_upkeep.duty,),
    checks=(stream_check.CHECK,),
)

PEERS = Service(
    name="jedlikpeers",
    signing_name=peer_signatures.SERVICE,
    api_version=None,
    codec=json_1_0.CODEC,
    target_prefix=serving.TARGET,
    operations=PEER_OPERATIONS,
)

KEY_NUMBERS = (spaces.DESCRIPTORS.prefix, descriptors.key_number)
"""The records that have the numbers of the keys of tables."""
SERVICES = (SERVICE, STREAMS, PEERS)
"""All of them."""
