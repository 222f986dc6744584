"""The file of access keys: its content, its permissions, and the faults of others."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jedlik.aws.credentials import Credentials, CredentialsError, create, delete, load
from testing.jedlik_process import PATIENCE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "credentials.json"


def test_a_key_looks_as_on_aws(path: Path) -> None:
    made = create(path)
    assert re.fullmatch("AKIA[A-Z2-7]{16}", made.access_key)
    assert re.fullmatch("[A-Za-z0-9+/]{40}", made.secret)
    assert (made.session_token, made.expires) == (None, None)
    assert re.fullmatch("ASIA[A-Z2-7]{16}", create(path, lifetime=60).access_key)


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    create(path)
    create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(CredentialsError) as refused:
        load(path)
    assert str(refused.value) == f"{path} must be readable by its owner only: chmod 600 {path}"


def test_keys_are_kept_in_order_until_deleted(path: Path) -> None:
    made = [create(path), create(path, lifetime=60), create(path)]
    assert load(path) == made
    assert delete(path, made[1].access_key)
    assert not delete(path, made[1].access_key)
    assert load(path) == [made[0], made[2]]


def test_keys_made_at_once_are_all_kept(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: create(path), range(24)))
    assert {key.access_key for key in load(path)} == {key.access_key for key in made}


def test_the_folder_and_the_lock_belong_to_the_owner_only(path: Path) -> None:
    create(path)
    assert {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in (path.parent, *path.parent.iterdir())} == {
        "made": 0o700,
        "credentials.json": 0o600,
        "credentials.json.lock": 0o600,
    }


def test_a_reader_of_the_folder_cannot_block_a_change(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as threads:
        try:
            made = threads.submit(create, path).result(PATIENCE)
        finally:
            os.close(folder)
    assert load(path) == [made]


def test_changes_wait_for_each_other(path: Path) -> None:
    first = create(path)
    lock = path.with_name("credentials.json.lock")
    with lock.open() as file, ThreadPoolExecutor(1) as threads:
        fcntl.flock(file, fcntl.LOCK_EX)
        second = threads.submit(create, path)
        with pytest.raises(TimeoutError):
            second.result(0.2)
        assert load(path) == [first]
        fcntl.flock(file, fcntl.LOCK_UN)
        assert [first, second.result(PATIENCE)] == load(path)


@pytest.mark.parametrize("kind", ["pipe", "link", "open to others"])
def test_a_lock_that_others_can_hold_is_refused(path: Path, kind: str) -> None:
    path.parent.mkdir()
    lock = path.with_name("credentials.json.lock")
    if kind == "pipe":
        os.mkfifo(lock, 0o600)
    elif kind == "link":
        lock.symlink_to(path.with_name("elsewhere"))
    else:
        lock.touch()
        lock.chmod(0o644)
    with pytest.raises((CredentialsError, OSError)) as refused:
        create(path)
    if kind != "link":
        text = f"{lock} must be a file that nobody but its owner can open: remove it"
        assert str(refused.value) == text
    assert not path.exists()


def test_no_file_has_no_keys(path: Path) -> None:
    assert load(path) == []
    assert len(Credentials(path)) == 0


def test_changes_are_seen(path: Path) -> None:
    credentials = Credentials(path)
    made = create(path)
    assert credentials.get(made.access_key) is None
    assert credentials.refresh()
    assert not credentials.refresh()
    assert credentials.get(made.access_key) == made
    path.unlink()
    assert credentials.refresh()
    assert credentials.get(made.access_key) is None


@pytest.mark.parametrize("content", ["nonsense", "[]", "7", json.dumps({"AKIA": {"secrets": "x"}}), '{"AKIA": 5}'])
def test_a_file_of_something_else_is_refused(path: Path, content: str) -> None:
    create(path)
    path.write_text(content)
    with pytest.raises(CredentialsError, match=re.escape(f"{path} does not hold access keys: ")):
        load(path)
