"""`jedlik check`, `stats`, `compact` and `upgrade` go over identity stores, too, and name what is damaged in one."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from jedlik.config import DEFAULT_ACCOUNT, Settings
from jedlik.iam.identity_rows import (
    ACCESS_KEYS,
    ENTITIES,
    GROUP,
    PASSWORDS,
    SEALED_SECRET,
    TOKEN_KEYS,
    USER,
    access_key_key,
    attachments_key,
    id_key,
    packed,
    unpacked,
)
from jedlik.process.services import SERVICES
from jedlik.regions import layout, root_key_record
from jedlik.regions.layout import Stored
from jedlik.root_key import RootKey, new_key
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.upkeep import reports
from jedlik.upkeep.opening import Reader
from testing.jedlik_process import Server, run_jedlik

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
DOCUMENT = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}}
)
TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose account has something of every kind, and no region."""
    folder = tmp_path_factory.mktemp("whole") / "data"
    server = Server(folder.with_name("log"), data_dir=folder)
    try:
        iam = server.client("iam")
        policy = iam.create_policy(PolicyName="mine", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
        iam.create_group(GroupName="readers")
        iam.create_user(UserName="ann", PermissionsBoundary=policy)
        iam.add_user_to_group(UserName="ann", GroupName="readers")
        iam.attach_user_policy(UserName="ann", PolicyArn=ADMINISTRATOR)
        iam.attach_group_policy(GroupName="readers", PolicyArn=policy)
        iam.create_access_key(UserName="ann")
        iam.create_login_profile(UserName="ann", Password="correct horse battery staple 1A!")
        iam.create_role(RoleName="reader", AssumeRolePolicyDocument=TRUST)
        iam.create_instance_profile(InstanceProfileName="machine")
    finally:
        server.stop()
    shutil.rmtree(layout.account_folder(folder, DEFAULT_ACCOUNT) / layout.REGIONS, ignore_errors=True)
    return folder


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    folder = tmp_path / "data"
    shutil.copytree(whole, folder)
    shutil.copy2(f"{whole}.root-key", f"{folder}.root-key")
    return folder


def stored_in(data: Path) -> Stored:
    [stored] = layout.identity_stores(data, DEFAULT_ACCOUNT)
    return stored


def root_key_of(data: Path) -> RootKey:
    found = root_key_record.found(Settings(data_dir=data), may_make=False)
    assert found is not None
    return RootKey(found.current, found.former)


def problems(data: Path, root_key: RootKey | None = None) -> list[str]:
    """The lines of a check before its summary."""
    said: list[str] = []
    count = reports.check(stored_in(data), said.append, reader=Reader(SERVICES, secrets=root_key or root_key_of(data)))
    assert len(said) == count + 1
    return [line.removeprefix("identity store: ") for line in said[:-1]]


def change(data: Path, damage: Callable[[dict[bytes, bytes], Writes], None]) -> None:
    """Write something to the store that no server would write."""

    async def write() -> None:
        engine = LmdbEngine.open(stored_in(data).path, durable=True)
        try:
            rows = dict(await engine.range(b"\x10", b"\xff", 1000, 1 << 20))
            writes = Writes()
            damage(rows, writes)
            await engine.mutate([], lambda _: (writes, None))
        finally:
            await engine.close()

    asyncio.run(write())


def the_user(rows: dict[bytes, bytes]) -> dict[str, object]:
    return unpacked(rows[USER.key("ann")])


def test_the_commands_go_over_identity_stores(data: Path) -> None:
    where = ("--data-dir", str(data))
    checked = run_jedlik("check", *where)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("identity store: ")
    assert "1 users, 1 groups, 1 roles, 1 policies and 1 access keys, checked in " in checked.stdout
    assert checked.stdout.endswith(": no problems\n")
    stats = run_jedlik("stats", *where).stdout.splitlines()
    assert f"5 {ENTITIES.rows}" in stats[0]
    assert "1 access keys" in stats[0]
    document = json.loads(run_jedlik("stats", "--json", *where).stdout)
    assert document["stores"] == []
    [store] = document["identity_stores"]
    assert (store["account"], store["rows_of"]["access keys"], store["rows_of"]["unique ids"]) == (
        DEFAULT_ACCOUNT,
        1,
        5,
    )
    assert run_jedlik("compact", *where).stdout.startswith("identity store: ")
    upgraded = run_jedlik("upgrade", *where).stdout
    assert upgraded.startswith("identity store: format ")
    assert upgraded.endswith("nothing to do\n")
    assert problems(data) == []


def test_without_the_root_key_the_rest_is_checked(data: Path) -> None:
    Path(f"{data}.root-key").unlink()
    checked = run_jedlik("check", "--json", "--data-dir", str(data))
    assert checked.returncode == 0
    assert checked.stderr.startswith("What is sealed is not opened: there is no root key in ")
    summary = json.loads(checked.stdout)
    assert (summary["region"], summary["account"], summary["users"], summary["problems"]) == (
        None,
        DEFAULT_ACCOUNT,
        1,
        0,
    )


def test_an_option_for_a_region_leaves_identity_stores_out(data: Path) -> None:
    refused = run_jedlik("check", "--data-dir", str(data), "--region", "eu-west-1")
    assert refused.stderr == f"jedlik: there is no store of region eu-west-1 in {data}\n"


def test_secrets_that_the_root_key_does_not_open_are_named(data: Path) -> None:
    found = problems(data, RootKey(new_key()))
    assert len(found) == 3
    for line, rows in zip(sorted(found), ("access keys", "keys of session tokens", "passwords"), strict=True):
        assert line.startswith(f"a secret among the {rows} under ")
        assert line.endswith(
            f"cannot be opened: it is sealed under the root key {root_key_of(data).id}, which is not here"
        )


def test_a_secret_of_another_row_is_named(data: Path) -> None:
    def damage(rows: dict[bytes, bytes], writes: Writes) -> None:
        [key] = [key for key in rows if key.startswith(ACCESS_KEYS.prefix)]
        token_key = orjson.loads(rows[TOKEN_KEYS.prefix])["Current"]
        writes.put(key, packed(unpacked(rows[key]) | {SEALED_SECRET: token_key}))

    change(data, damage)
    [line] = problems(data)
    assert line.startswith("a secret among the access keys under 90")
    assert line.endswith(": it is damaged, or was sealed for another place")


def test_damage_is_named_wherever_it_is(data: Path) -> None:
    """One thing after another is damaged, and put right again."""
    ann = USER.key("ann")

    def keys_gone(rows: dict[bytes, bytes], writes: Writes) -> None:
        for key in rows:
            if key.startswith(ACCESS_KEYS.prefix):
                writes.delete(key)

    def with_members(**members: object) -> Callable[[dict[bytes, bytes], Writes], None]:
        return lambda rows, writes: writes.put(ann, packed(the_user(rows) | members))

    def id_gone(rows: dict[bytes, bytes], writes: Writes) -> None:
        writes.delete(id_key(str(the_user(rows)["UserId"])))

    key_of_nobody = packed({"UserId": "AIDA", "Status": "Active"})
    cases: list[tuple[Callable[[dict[bytes, bytes], Writes], None], str]] = [
        (lambda rows, writes: writes.put(ann, b"[1"), "User under 8075616e6e: "),
        (lambda rows, writes: writes.put(USER.key("bob"), rows[ann]), "User ann is under the key of another"),
        (with_members(Groups=["AGPANOBODY"]), "User ann is in a group that is not there, AGPANOBODY"),
        (with_members(AccessKeys=[]), ", who does not list it so"),
        (id_gone, "leads nowhere, and not to 8075616e6e"),
        (lambda rows, writes: writes.put(id_key("AIDANOBODY"), b"x"), "a unique id that no entity has, AIDANOBODY"),
        (keys_gone, " of a user has no secret"),
        (
            lambda rows, writes: writes.put(access_key_key("AKIANOBODY"), key_of_nobody),
            "the access key AKIANOBODY is Active and of AIDA, who does not list it so",
        ),
        (lambda rows, writes: writes.put(PASSWORDS.prefix + b"pAIDA", b"{}"), "a password of no user under b070"),
        (lambda rows, writes: writes.put(PASSWORDS.prefix + b"r", b"x"), "password under b072: "),
        (lambda rows, writes: writes.add(GROUP.count, 1), "the counter of entities of g is 2, and there are 1"),
        (
            lambda rows, writes: writes.add(attachments_key(ADMINISTRATOR), 2),
            f"the counter of attachments of {ADMINISTRATOR} is 3, and there are 1",
        ),
        (lambda rows, writes: writes.put(b"\xf0", b"x"), "there are keys after the last space"),
        (lambda rows, writes: writes.delete(TOKEN_KEYS.prefix), ""),
    ]
    before: dict[bytes, bytes] = {}
    change(data, lambda rows, writes: before.update(rows))
    for damage, wanted in cases:
        change(data, damage)
        found = problems(data)
        assert any(wanted in line for line in found) if wanted else found == [], (wanted, found)

        def put_right(rows: dict[bytes, bytes], writes: Writes) -> None:
            for key in rows.keys() | before.keys():
                if rows.get(key) != before.get(key):
                    writes.puts[key] = before.get(key)

        change(data, put_right)
        assert problems(data) == []


def test_damaged_values_are_named_and_repair_leaves_what_others_need(data: Path) -> None:
    path = stored_in(data).path / "data.mdb"
    content = path.read_bytes()
    assert b'"UserName":"ann"' in content
    path.write_bytes(content.replace(b'"UserName":"ann"', b'"UserName":"amn"'))
    said: list[str] = []
    assert reports.check(stored_in(data), said.append, reader=Reader(SERVICES)) > 0
    assert any(ENTITIES.prefix.hex() + "75616e6e" in line for line in said), said
    lost = run_jedlik("check", "--recover-damaged", "--data-dir", str(data))
    assert lost.returncode == 1
    assert f"not repaired: a value among the {ENTITIES.rows} under key 8075616e6e: put back a copy" in lost.stdout
