"""What a region's store keeps of keys: its key spaces, and the keys of its rows.

A KMS key is one row with all that is known of it, its policy, tags and aliases too, so one read is enough to decide a
request. Its material is in rows of its own, sealed by the server's root key: no other row has anything secret, and
sealing it again under another root key changes these rows alone. A row of a date leads to what must be done to a key
then: it is deleted, it is rotated, or its imported material expires.
"""

from __future__ import annotations

from jedlik.regions.keyspaces import Keyspace, Owner, prefix_end

KMS_KEYS = Keyspace(
    "kms keys",
    b"\xe8",
    Owner.STORE,
    "records of KMS keys",
    (
        ("00  key id", "KMS key"),
        ("01  alias", "alias of a KMS key"),
        ("02  key id  00  grant", "grant of a KMS key"),
        ("03  key id  00  grantee  00  grant", "nothing: leads to the grants of a principal"),
        ("04  retiring principal  00  key id  00  grant", "nothing: leads to the grants that a principal may retire"),
        ("05  milliseconds (8)  key id", "nothing: when something is to be done to a KMS key"),
        ("06", "counter of changes of KMS keys"),
        ("07", "counter of customers' KMS keys"),
    ),
)
KMS_MATERIAL = Keyspace(
    "kms material",
    b"\xec",
    Owner.STORE,
    "sealed material of KMS keys",
    (("key id  00  material (32)", "sealed material of a KMS key"),),
    sealed=lambda value, change: change(value, ""),
)

_KEY, _ALIAS, _GRANT, _GRANTEE, _RETIRING, _DUE, CHANGES, COUNT = (
    KMS_KEYS.prefix + bytes((number,)) for number in range(8)
)
_MATERIAL = KMS_MATERIAL.prefix


def key_row(key_id: str) -> bytes:
    """Where a KMS key is."""
    return _KEY + key_id.encode()


def key_range(after: str | None = None) -> tuple[bytes, bytes]:
    """Where all KMS keys stand, in the order of their ids; or those behind one."""
    return (_KEY if after is None else key_row(after) + b"\0"), prefix_end(_KEY)


def key_id_of(row: bytes) -> str:
    """The id of the KMS key in a row."""
    return row[len(_KEY) :].decode()


def alias_row(name: str) -> bytes:
    """Where an alias is; its name begins with `alias/`."""
    return _ALIAS + name.encode()


def alias_range(after: str | None = None) -> tuple[bytes, bytes]:
    """Where all aliases stand, in the order of their names; or those behind one."""
    return (_ALIAS if after is None else alias_row(after) + b"\0"), prefix_end(_ALIAS)


def alias_of(row: bytes) -> str:
    """The name of the alias in a row."""
    return row[len(_ALIAS) :].decode()


def grant_row(key_id: str, grant_id: str) -> bytes:
    """Where a grant is."""
    return _GRANT + key_id.encode() + b"\0" + grant_id.encode()


def grant_range(key_id: str | None = None, after: str | None = None) -> tuple[bytes, bytes]:
    """Where the grants of a KMS key stand, or those behind one, or those of all keys."""
    prefix = _GRANT if key_id is None else _GRANT + key_id.encode() + b"\0"
    start = prefix if key_id is None or after is None else grant_row(key_id, after) + b"\0"
    return start, prefix_end(prefix)


def grant_of(row: bytes) -> tuple[str, str]:
    """The id of the KMS key and of the grant in a row."""
    key_id, _, grant_id = row[len(_GRANT) :].partition(b"\0")
    return key_id.decode(), grant_id.decode()


def material_row(key_id: str, material_id: bytes) -> bytes:
    """Where the sealed material of a KMS key is."""
    return _MATERIAL + key_id.encode() + b"\0" + material_id


def material_range(key_id: str | None = None) -> tuple[bytes, bytes]:
    """Where the material of a KMS key stands, or that of all keys."""
    prefix = _MATERIAL if key_id is None else _MATERIAL + key_id.encode() + b"\0"
    return prefix, prefix_end(prefix)


def material_of(row: bytes) -> tuple[str, bytes]:
    """The id of the KMS key and of the material in a row."""
    key_id, _, material_id = row[len(_MATERIAL) :].partition(b"\0")
    return key_id.decode(), material_id


def due_row(date: float, key_id: str) -> bytes:
    """Where it is noted that something is to be done to a KMS key; the date is in seconds since the epoch."""
    return _DUE + round(date * 1000).to_bytes(8) + key_id.encode()


def due_range(until: float | None = None) -> tuple[bytes, bytes]:
    """Where all such notes stand, in the order of their dates; or those of dates up to one."""
    return _DUE, prefix_end(_DUE) if until is None else _DUE + (round(until * 1000) + 1).to_bytes(8)


def due_of(row: bytes) -> tuple[float, str]:
    """The date and the id of the KMS key in a row."""
    return int.from_bytes(row[len(_DUE) : len(_DUE) + 8]) / 1000, row[len(_DUE) + 8 :].decode()


def grantee_row(key_id: str, grantee: str, grant_id: str) -> bytes:
    """What leads to a grant of a KMS key by whom it is for."""
    return grantee_range(key_id, grantee)[0] + grant_id.encode()


def grantee_range(key_id: str, grantee: str) -> tuple[bytes, bytes]:
    """Where what leads to the grants of a KMS key for a principal stands."""
    prefix = _GRANTEE + key_id.encode() + b"\0" + grantee.encode() + b"\0"
    return prefix, prefix_end(prefix)


def all_grantees() -> tuple[bytes, bytes]:
    """Where what leads to all grants by whom they are for stands."""
    return _GRANTEE, prefix_end(_GRANTEE)


def retiring_row(principal: str, key_id: str, grant_id: str) -> bytes:
    """What leads from a retiring principal to a grant."""
    return retiring_range(principal)[0] + key_id.encode() + b"\0" + grant_id.encode()


def retiring_range(principal: str, after: tuple[str, str] | None = None) -> tuple[bytes, bytes]:
    """Where what leads to the grants that a principal may retire stands; or to those behind one, by the ids of its KMS
    key and its own."""
    prefix = _RETIRING + principal.encode() + b"\0"
    start = prefix if after is None else prefix + "\0".join(after).encode() + b"\0"
    return start, prefix_end(prefix)


def all_retiring() -> tuple[bytes, bytes]:
    """Where what leads from retiring principals to grants stands."""
    return _RETIRING, prefix_end(_RETIRING)
