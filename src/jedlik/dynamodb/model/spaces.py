"""DynamoDB's key spaces: the rows of tables, and their owners. `keys` makes the keys.

To add a key space, declare it here. The purge of deleted tables (`tables.purge`), the check of a store and the layout
in docs/architecture.md follow.
"""

from __future__ import annotations

from jedlik.regions.keyspaces import STORE, Keyspace, Owner

DESCRIPTORS = Keyspace("descriptors", b"\x18", Owner.STORE, "descriptors", (("table name", "descriptor"),))
TAGS = Keyspace("tags", b"\x20", Owner.TABLE, "tags", (("table id (8)", "tags"),), lost="the table's tags")
ROWS = Keyspace(
    "rows",
    b"\x28",
    Owner.INDEX,
    "rows",
    (
        ("table id (8)  index (2)  partition (16)  sort ...", "item (index 0)"),
        ("table id (8)  index (2)  partition (16)  sort ...  primary (16)", "index entry"),
    ),
    lost="the item",
    has_sealed_values=True,
)
COUNTERS = Keyspace(
    "counters",
    b"\x30",
    Owner.INDEX,
    "counters",
    (
        ("table id (8)  index (2)  counter (1)", "counters of items and of bytes"),
        ("table id (8)  index (2)  counter (1)  partition (16)", "bytes in an item collection"),
    ),
    lost="nothing",
)
LOGS = Keyspace(
    "logs",
    b"\x38",
    Owner.SHARD,
    "log entries",
    (("table id (8)  shard (4)  position (8)", "change log"),),
    lost="a change, for readers of the stream and for replicas",
    has_sealed_values=True,
    is_log=True,
)
READERS = Keyspace(
    "readers",
    b"\x3c",
    Owner.TABLE,
    "positions of readers",
    (("table id (8)  name", "position of a reader of the change log"),),
    lost="how far a reader of the change log has come: it must begin again",
)
STREAMS = Keyspace("streams", b"\x50", Owner.STORE, "streams", (("table name  00  label", "stream"),))
TOKENS = Keyspace(
    "tokens",
    b"\x58",
    Owner.STORE,
    "client tokens",
    (("interval (4)  hash of the client token (16)", "transaction, so that it is done once"),),
    lost="that a transaction has been done: if it is sent again, it is done again",
    has_sealed_values=True,
)
EXPIRIES = Keyspace(
    "expiries",
    b"\x60",
    Owner.TABLE,
    "expiry notes",
    (("table id (8)  expiry time (8)  partition ...", "item key, to be deleted at that time"),),
    lost="nothing",
)
VERSIONS = Keyspace(
    "versions",
    b"\x68",
    Owner.REPLICA,
    "versions of items",
    (("table id (8)  partition (16)  sort ...", "version of a replicated item"),),
    lost="when an item was written last: a change of it from another region wins",
)
CHECKPOINTS = Keyspace(
    "checkpoints",
    b"\x70",
    Owner.REPLICA,
    "checkpoints",
    (("table id (8)  peer (8)", "how far a peer's changes have been applied"),),
    lost="how far a peer's changes have been applied",
)
ASIDES = Keyspace(
    "asides",
    STORE.prefix + b"aside/",
    Owner.REPLICA,
    "notes of what is put aside",
    (('"aside/"  table id (8)  peer (8)', "why a table rests for a peer"),),
    lost="nothing",
    within=STORE,
)
BACKUPS = Keyspace(
    "backups",
    b"\x78",
    Owner.STORE,
    "backups",
    (("table name  00  backup", "backup"),),
    lost="a backup: what is kept of it stays where it is",
)
PIECES = Keyspace(
    "pieces",
    b"\x80",
    Owner.STORE,
    "pieces of unfinished backups",
    (("backup  00  kind (1)  number (4)", "piece of a backup that is being made"),),
)
MARKS = Keyspace(
    "marks",
    b"\x88",
    Owner.STORE,
    "marks of unfinished backups",
    (("backup  00  position (8)", "where in the logs a backup begins"),),
)
RECOVERIES = Keyspace(
    "recoveries",
    b"\x90",
    Owner.STORE,
    "recoveries",
    (("table id (8)", "recovery of a table to a point in time"),),
    lost="how far a table's changes have been archived: recovery begins again",
)
SEGMENTS = Keyspace(
    "segments",
    b"\x98",
    Owner.STORE,
    "segments of archives",
    (("table id (8)  history (8)  position (8)", "segment of an archived change log"),),
    lost="some seconds to which a table could be restored",
)
BACKUP_EXPIRIES = Keyspace(
    "backup expiries",
    b"\xa0",
    Owner.STORE,
    "expiries of backups",
    (("milliseconds (8)  table name  00  backup", "when a SYSTEM backup is removed"),),
    lost="that a SYSTEM backup is removed after 35 days",
)
IMPORTS = Keyspace(
    "imports",
    b"\xa8",
    Owner.STORE,
    "imports",
    (("table name  00  import", "import"),),
    lost="what an import has come to",
)
EXPORTS = Keyspace(
    "exports",
    b"\xb0",
    Owner.STORE,
    "exports",
    (("table name  00  export", "export"),),
    lost="what an export has come to",
    has_sealed_values=True,
)
BULKS = Keyspace(
    "bulk operations",
    b"\xb8",
    Owner.STORE,
    "bulk operations",
    (("milliseconds, the latest first (8)  bulk operation", "bulk operation"),),
    lost="what a bulk operation has come to",
    has_sealed_values=True,
)
BULK_REPORTS = Keyspace(
    "bulk reports",
    b"\xc0",
    Owner.STORE,
    "rows of the reports of bulk operations",
    (("bulk operation  00  kind (1)  number (8)", "what was not written, until it is in a file"),),
    lost="a line of the report of a bulk operation",
    has_sealed_values=True,
)
HOLDS = Keyspace(
    "holds",
    b"\xc8",
    Owner.STORE,
    "holds for other regions",
    (("table", "source of which a table of another region is being restored"),),
    lost="that a source which a lost region holds is released",
)

KEYSPACES = (
    DESCRIPTORS,
    TAGS,
    ROWS,
    COUNTERS,
    LOGS,
    READERS,
    STREAMS,
    TOKENS,
    EXPIRIES,
    VERSIONS,
    CHECKPOINTS,
    ASIDES,
    BACKUPS,
    PIECES,
    MARKS,
    RECOVERIES,
    SEGMENTS,
    BACKUP_EXPIRIES,
    IMPORTS,
    EXPORTS,
    BULKS,
    BULK_REPORTS,
    HOLDS,
)
"""All of them."""
