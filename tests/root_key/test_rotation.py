"""The rotation of the root key: everything is sealed again, beside a running server and after a kill at any step."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jedlik.aws import credentials
from jedlik.config import DEFAULT_ACCOUNT, Settings
from jedlik.iam import token_keys
from jedlik.iam.identity_rows import SEALED_SECRET
from jedlik.iam.identity_rows import access_key_key as row_of
from jedlik.iam.identity_stores import IdentityStores
from jedlik.iam.session_tokens import opened
from jedlik.process import root_key_rotation
from jedlik.process.services import SERVICES
from jedlik.regions import root_key_record, root_key_sources
from jedlik.regions.root_key_sources import RootKeyError
from jedlik.root_key import RootKey, id_of
from testing.jedlik_process import Server, eventually, run_jedlik
from tests.root_key.conftest import Filled, Serve, given

Start = Callable[..., Server]


def key_file(filled: Filled) -> Path:
    return Path(f"{filled.folder}.root-key")


def keys_in(filled: Filled) -> list[bytes]:
    return [bytes.fromhex(word) for word in key_file(filled).read_text().split()]


def rotate(filled: Filled, *options: str, **environment: str) -> str:
    done = run_jedlik("root-key", "rotate", "--data-dir", str(filled.folder), *options, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def everything_opens(filled: Filled) -> bool:
    """Whether the folder opens with the key that is there, and all secrets with it; read without a server."""
    settings = Settings(data_dir=filled.folder)
    found = root_key_record.found(settings, may_make=False)
    assert found is not None
    root_key = RootKey(found.current, found.former)

    async def read() -> bool:
        stores = IdentityStores(settings, root_key=root_key)
        try:
            identity = stores.of(DEFAULT_ACCOUNT)
            access_key = filled.user["aws_access_key_id"]
            row = identity.row(row_of(access_key))
            assert row is not None
            secret = identity.unsealed(row_of(access_key), row[SEALED_SECRET], SEALED_SECRET).decode()
            session = opened(identity, filled.session["aws_access_key_id"], filled.session["aws_session_token"])
            return secret == filled.user["aws_secret_access_key"] and session is not None
        finally:
            await stores.close()

    kept = {key.access_key: key.secret for key in credentials.load(settings.credentials_file, root_key)}
    assert kept[filled.root["aws_access_key_id"]] == filled.root["aws_secret_access_key"]
    return asyncio.run(read())


def is_sealed_under_one_key(filled: Filled) -> bool:
    """Whether the present key alone opens everything."""
    path = filled.folder / "root-key.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({"Key": record["Key"]}))
    try:
        return everything_opens(filled)
    finally:
        path.write_text(json.dumps(record))


def test_everything_is_sealed_again_under_a_new_key(copied: Filled) -> None:
    [before] = keys_in(copied)
    said = rotate(copied)
    [after] = keys_in(copied)
    assert after != before
    assert said.startswith(f"rotated: the root key in {key_file(copied)} has the id {id_of(after).hex()}; ")
    assert key_file(copied).stat().st_mode & 0o777 == 0o600
    assert is_sealed_under_one_key(copied)
    record = (copied.folder / "root-key.json").read_text()
    assert len(json.loads(record)["Former"]) == 1
    assert before.hex() not in record
    root_key_rotation.rotate(Settings(data_dir=copied.folder), SERVICES)
    assert len(json.loads((copied.folder / "root-key.json").read_text())["Former"]) == 1
    key_file(copied).write_text(before.hex())
    with pytest.raises(RootKeyError, match=f"is {id_of(before).hex()}, and not "):
        root_key_record.found(Settings(data_dir=copied.folder), may_make=False)


def test_a_server_under_load_goes_on(copied: Filled, serve: Serve) -> None:
    server = serve(copied)
    pids = server.workers()
    over, failures, asked = threading.Event(), [], [0]
    made: list[dict[str, str]] = []

    def ask(keys: dict[str, str]) -> None:
        """Sign in again and again, with new connections, and sometimes make and delete a key."""
        while not over.is_set():
            try:
                server.client("sts", **keys).get_caller_identity()
                asked[0] += 1
            except Exception as error:  # Any failure is one too many, and ends the test.
                failures.append(error)
                return

    def make() -> None:
        iam = server.client("iam", **copied.user)
        number = 0
        while not over.is_set():
            try:
                number += 1
                iam.create_user(UserName=f"user-{number}")
                made.append(given(iam.create_access_key(UserName=f"user-{number}")["AccessKey"]))
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=ask, args=(keys,)) for keys in (copied.root, copied.user, copied.session)]
    threads.append(threading.Thread(target=make))
    for thread in threads:
        thread.start()
    try:
        rotate(copied)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert asked[0] > 0
    assert server.workers() == pids
    assert copied.can_all_sign_in(server)
    server.kill()
    again = Server(copied.folder.with_name("again.log"), data_dir=copied.folder, auth="on")
    try:
        assert copied.can_all_sign_in(again)
        for keys in made:
            assert again.client("sts", **keys).get_caller_identity()["Account"] == DEFAULT_ACCOUNT
    finally:
        again.kill()


STEPS: list[tuple[Any, str]] = [
    (root_key_sources, "write"),
    (root_key_record, "write"),
    (root_key_rotation, "_is_let_go"),
    (credentials, "seal"),
    (token_keys, "renew"),
    (root_key_rotation, "reseal"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[f"{owner.__name__}.{name}" for owner, name in STEPS])
def test_a_rotation_that_is_killed_anywhere_is_finished_by_the_next(
    copied: Filled, owner: Any, name: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that are done twice are killed the first time here and the second time in the next test."""
    [before] = keys_in(copied)
    _killed_at(copied, owner, name, 1, after, monkeypatch)
    assert everything_opens(copied)
    root_key_rotation.rotate(Settings(data_dir=copied.folder), SERVICES)
    [now] = keys_in(copied)
    assert now != before
    assert is_sealed_under_one_key(copied)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("owner", [root_key_sources, root_key_record], ids=["sources", "record"])
def test_a_rotation_that_is_killed_at_its_end_is_finished_by_the_next(
    copied: Filled, owner: Any, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _killed_at(copied, owner, "write", 2, after, monkeypatch)
    assert is_sealed_under_one_key(copied)
    if len(keys_in(copied)) > 1:
        done = root_key_rotation.rotate(Settings(data_dir=copied.folder), SERVICES)
        assert (done.is_finished, done.sealed) == (True, 0)
    assert len(keys_in(copied)) == 1
    assert is_sealed_under_one_key(copied)


def _killed_at(filled: Filled, owner: Any, name: str, time: int, after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation that dies at a step, the first or the second time, before or after it."""
    step, calls = getattr(owner, name), [0]

    def dying(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] != time:
            return step(*arguments)
        if not after:
            os._exit(9)
        done = step(*arguments)
        if not asyncio.iscoroutine(done):
            os._exit(9)

        async def then() -> None:
            await done
            os._exit(9)

        return then()

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, dying)
        child = os.fork()
        if child == 0:
            try:
                root_key_rotation.rotate(Settings(data_dir=filled.folder), SERVICES)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_key_that_is_not_in_a_file_is_put_there_by_a_person(copied: Filled) -> None:
    [before] = [key.hex() for key in keys_in(copied)]
    key_file(copied).unlink()
    new = secrets.token_hex(32)
    where = ("root-key", "rotate", "--data-dir", str(copied.folder))
    refused = run_jedlik(*where, JEDLIK_ROOT_KEY=before)
    assert (refused.returncode, refused.stderr) == (
        2,
        "jedlik: the variable JEDLIK_ROOT_KEY cannot be written to: put a new key there, before the present one and a "
        "space, restart the server, and run this again\n",
    )
    said = rotate(copied, JEDLIK_ROOT_KEY=f"{new} {before}").splitlines()
    assert said[0].startswith(
        f"rotated: the root key in the variable JEDLIK_ROOT_KEY has the id {id_of(bytes.fromhex(new)).hex()}; "
    )
    assert said[1] == "Remove the former key there: the data folder does not need it any more."
    assert said[2] == "Copies of the data folder that were made before need the former key."
    key_file(copied).write_text(new)
    key_file(copied).chmod(0o600)
    assert is_sealed_under_one_key(copied)


def test_a_server_that_does_not_have_the_new_key_stops_the_rotation(
    copied: Filled, start_server: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    [before] = [key.hex() for key in keys_in(copied)]
    key_file(copied).unlink()
    server = start_server(data_dir=copied.folder, environment={"JEDLIK_ROOT_KEY": before})
    record = json.loads((copied.folder / "root-key.json").read_bytes())

    def has_refused() -> bool:
        said = "the root key has changed, and the new one cannot be used: "
        return any(line["message"].startswith(said) for line in server.log_lines())

    def wait_in_vain(file: int) -> bool:
        eventually(has_refused)
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False

    monkeypatch.setattr(root_key_rotation, "_is_let_go", wait_in_vain)
    settings = Settings(data_dir=copied.folder, root_key=f"{secrets.token_hex(32)} {before}")
    with pytest.raises(RootKeyError, match="has not taken up the new root key within 30 seconds, and its log has"):
        root_key_rotation.rotate(settings, SERVICES)
    assert json.loads((copied.folder / "root-key.json").read_bytes()) == record
    assert server.stop() == 0


def test_what_has_no_root_key_cannot_be_rotated(tmp_path: Path) -> None:
    refused = run_jedlik("root-key", "rotate", "--data-dir", str(tmp_path))
    assert refused.stderr == f"jedlik: {tmp_path} has no root key: make one with `jedlik init`\n"
