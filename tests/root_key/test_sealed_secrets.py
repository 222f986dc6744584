"""A stolen data folder has no secret in any file. The first start with a root key seals a folder of an earlier version,
and the next start finishes it, wherever the first was killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jedlik.config import DEFAULT_ACCOUNT, Settings
from jedlik.iam import open_secrets, token_keys
from jedlik.iam.identity_rows import ACCESS_KEYS, SEALED_SECRET, packed, unpacked
from jedlik.iam.open_secrets import OPEN
from jedlik.process import first_sealing
from jedlik.regions import keyspaces, layout, root_key_record
from jedlik.root_key import RootKey, place
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing.jedlik_process import Server, run_jedlik
from tests.root_key.conftest import Filled

Start = Callable[..., Server]


def places_of(text: str, folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_stolen_folder_has_no_secret_in_any_file(filled: Filled) -> None:
    assert [places_of(secret, filled.folder) for secret in filled.secrets] == [[], []]
    key = Path(f"{filled.folder}.root-key").read_text().strip()
    assert places_of(key, filled.folder) == []
    assert not [path for path in filled.folder.rglob("*") if path.is_file() and bytes.fromhex(key) in path.read_bytes()]
    assert places_of(filled.root["aws_access_key_id"], filled.folder)  # The grep finds what is there.


def test_all_files_are_their_owners_alone(filled: Filled) -> None:
    assert filled.folder.stat().st_mode & 0o777 == 0o700
    files = [filled.folder / name for name in ("credentials.json", "root-key.json", "lock")]
    for path in (*files, Path(f"{filled.folder}.root-key")):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_keys_are_known_after_a_restart_and_without_the_root_key_nothing_starts(
    copied: Filled, start_server: Start, tmp_path: Path
) -> None:
    mine = copied
    server = start_server(data_dir=mine.folder)
    assert server.stop() == 0
    server = Server(tmp_path / "again.log", data_dir=mine.folder, auth="on")
    try:
        assert mine.can_all_sign_in(server)
    finally:
        server.kill()
    Path(f"{mine.folder}.root-key").unlink()
    before = {path: path.read_bytes() for path in mine.folder.rglob("*") if path.is_file() and path.name != "lock"}
    for command in (("serve", "--port", "0"), ("credentials", "create"), ("credentials", "create", "--user", "ann")):
        refused = run_jedlik(*command, "--data-dir", str(mine.folder))
        assert refused.returncode == 2
        assert refused.stderr.startswith(
            f"jedlik: there is no root key in {mine.folder}.root-key, and {mine.folder} has "
        )
    after = {path: path.read_bytes() for path in mine.folder.rglob("*") if path.is_file() and path.name != "lock"}
    assert after == before


def test_a_secret_that_is_moved_to_another_key_does_not_open(copied: Filled, tmp_path: Path) -> None:
    mine = copied
    keys = json.loads((mine.folder / "credentials.json").read_text())
    made = run_jedlik("credentials", "create", "--data-dir", str(mine.folder)).stdout
    [other] = re.findall("AKIA[A-Z2-7]{16}", made)
    file = mine.folder / "credentials.json"
    stored = json.loads(file.read_text())
    stored[other]["sealed"] = keys[mine.root["aws_access_key_id"]]["sealed"]
    file.write_text(json.dumps(stored))
    server = Server(tmp_path / "log", data_dir=mine.folder, auth="on")
    try:
        client = server.client("sts", aws_access_key_id=other, aws_secret_access_key=mine.root["aws_secret_access_key"])
        with pytest.raises(Exception, match=r"\(InternalFailure\)"):
            client.get_caller_identity()
    finally:
        server.kill()


# A folder of an earlier version.


async def _opened_up(folder: Path, root_key: RootKey) -> None:
    """Bring an identity store to the form of an earlier version."""
    engine = LmdbEngine.open(layout.account_folder(folder, DEFAULT_ACCOUNT) / layout.IDENTITY, durable=True)
    try:
        rows = await engine.range(*ACCESS_KEYS.range, 100, 1 << 20)
        [secret] = await engine.get([keyspaces.secret_key()])
        assert secret is not None

        def decide(_: object) -> tuple[Writes, None]:
            writes = Writes()
            for key, value in rows:
                row = unpacked(value)
                sealed = b64decode(row.pop(SEALED_SECRET))
                opened = root_key.unseal(sealed, place(DEFAULT_ACCOUNT, "", key, SEALED_SECRET)).decode()
                writes.put(key, packed(row | {OPEN: opened}))
            writes.delete(token_keys.ROW)
            return writes, None

        await engine.mutate([], decide)
    finally:
        await engine.close()


@pytest.fixture
def former(copied: Filled) -> Filled:
    """The same folder, as an earlier version would have it: without a root key."""
    mine = copied
    found = root_key_record.found(Settings(data_dir=mine.folder), may_make=False)
    assert found is not None
    root_key = RootKey(found.current)
    asyncio.run(_opened_up(mine.folder, root_key))
    file = mine.folder / "credentials.json"
    stored = json.loads(file.read_text())
    stored[mine.root["aws_access_key_id"]] = {"secret": mine.root["aws_secret_access_key"], "root": True}
    file.write_text(json.dumps(stored))
    (mine.folder / "root-key.json").unlink()
    Path(f"{mine.folder}.root-key").unlink()
    return mine


def served(mine: Filled, tmp_path: Path, name: str) -> Server:
    return Server(tmp_path / name, data_dir=mine.folder, auth="on")


def test_a_former_folder_is_served_as_it_was_until_it_has_a_root_key(former: Filled, tmp_path: Path) -> None:
    assert all(places_of(secret, former.folder) for secret in former.secrets)
    server = served(former, tmp_path, "before.log")
    try:
        former.session = former.new_session(server)
        assert former.can_all_sign_in(server)
        with pytest.raises(Exception, match="there is no root key to seal secrets with: make one with `jedlik init`"):
            server.client("iam").create_access_key(UserName="ann")
    finally:
        server.stop()
    assert run_jedlik("init", "--data-dir", str(former.folder)).returncode == 0
    assert json.loads((former.folder / "root-key.json").read_text())["Unsealed"] is True
    server = served(former, tmp_path, "after.log")
    try:
        assert former.can_all_sign_in(server)
        assert [places_of(secret, former.folder) for secret in former.secrets] == [[], []]
        assert "Unsealed" not in json.loads((former.folder / "root-key.json").read_text())
        assert "all secrets are sealed under the root key" in [line["message"] for line in server.log_lines()]
    finally:
        server.stop()


def test_a_first_start_that_is_killed_anywhere_is_done_by_the_next(
    former: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kill is at a step of the sealing; the folder serves afterwards, whether sealed or not."""
    assert run_jedlik("init", "--data-dir", str(former.folder)).returncode == 0
    settings = Settings(data_dir=former.folder)

    def start() -> None:
        found = root_key_record.found(settings, may_make=False)
        assert found is not None
        first_sealing.seal_stores(settings, found, RootKey(found.current))

    def killed_in(owner: Any, name: str, *, after: bool) -> None:
        """A start that is killed before or after a step."""
        step = getattr(owner, name)

        def dying(*arguments: Any) -> Any:
            if after:
                done = step(*arguments)
                if asyncio.iscoroutine(done):

                    async def then() -> None:
                        await done
                        os._exit(9)

                    return then()
            os._exit(9)

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, dying)
            child = os.fork()
            if child == 0:
                try:
                    start()
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
        assert json.loads((former.folder / "root-key.json").read_text())["Unsealed"] is True

    killed_in(open_secrets, "_token_key", after=False)
    killed_in(open_secrets, "_sealed", after=False)
    killed_in(open_secrets, "seal", after=True)
    killed_in(lmdb_file, "compact", after=False)
    killed_in(lmdb_file, "compact", after=True)
    killed_in(root_key_record, "write", after=False)
    server = served(former, tmp_path, "after.log")
    try:
        assert server.client("sts", **former.user).get_caller_identity()["Arn"].endswith("user/ann")
        assert [places_of(secret, former.folder) for secret in former.secrets] == [[], []]
    finally:
        server.stop()
