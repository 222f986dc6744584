"""`jedlik credentials`: its output, and its changes to the file of keys."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from testing.jedlik_process import Server, run_jedlik


def test_access_keys_are_created_listed_and_deleted(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path / "data"))
    assert run_jedlik("init", *where).returncode == 0
    made = run_jedlik("credentials", "create", *where)
    form = "\\[default\\]\naws_access_key_id = (AKIA[A-Z2-7]{16})\naws_secret_access_key = ([A-Za-z0-9+/]{40})\n"
    found = re.fullmatch(form, made.stdout)
    assert found is not None
    file = tmp_path / "data" / "credentials.json"
    assert made.stderr == f"A server accepts this key if it keeps its keys in {file}.\n"
    assert run_jedlik("credentials", "list", *where).stdout == f"{found[1]}\n"
    assert run_jedlik("credentials", "delete", *where, found[1]).returncode == 0
    assert run_jedlik("credentials", "list", *where).stdout == ""
    again = run_jedlik("credentials", "delete", *where, found[1])
    assert (again.returncode, again.stderr) == (
        1,
        f"jedlik: no account has the access key {found[1]}; one of a user is deleted with "
        "`aws iam delete-access-key`\n",
    )


def test_the_output_is_a_profile_that_sdks_read(
    start_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server(auth="on")
    config = tmp_path / "jedlik.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"')
    made = run_jedlik("credentials", "create", "--profile", "songs", "--lifetime", "600", JEDLIK_CONFIG=str(config))
    profiles = tmp_path / "profiles"
    profiles.write_text(made.stdout)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
    session = boto3.Session(profile_name="songs", region_name="us-east-1")
    assert session.client("dynamodb", endpoint_url=server.url).list_tables()["TableNames"] == []


def test_a_profile_needs_a_name_that_every_sdk_can_read(tmp_path: Path) -> None:
    ended = run_jedlik("credentials", "create", "--data-dir", str(tmp_path), "--profile", "my songs]")
    assert ended.returncode == 2
    assert ended.stderr.startswith("jedlik: Invalid value for '--profile': 'my songs]' must be letters, digits and any")
    assert list(tmp_path.iterdir()) == []


def test_temporary_access_keys_are_printed_with_their_expiry(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made = run_jedlik("credentials", "create", "--credentials", str(file), "--lifetime", "3600").stdout
    assert re.search("^aws_session_token = [A-Za-z0-9_-]{128}$", made, re.MULTILINE)
    listed = run_jedlik("credentials", "list", JEDLIK_CREDENTIALS=str(file)).stdout
    assert re.fullmatch(r"ASIA[A-Z2-7]{16} until \d{4}-\d\d-\d\dT[\d:]+\+00:00\n", listed)


def test_expired_keys_are_marked_and_go_after_a_day(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    now = time.time()
    expired = {"ASIAHOUR": now - 3600, "ASIAWEEK": now - 7 * 86_400}
    keys = {name: {"secret": "s", "session_token": "t", "expires": at} for name, at in expired.items()}
    file.write_text(json.dumps(keys))
    file.chmod(0o600)
    where = ("--credentials", str(file))
    listed = run_jedlik("credentials", "list", *where).stdout
    assert re.fullmatch(r"ASIAHOUR expired \S+\nASIAWEEK expired \S+\n", listed)
    run_jedlik("credentials", "create", *where)
    listed = run_jedlik("credentials", "list", *where).stdout
    assert re.fullmatch(r"ASIAHOUR expired \S+\nAKIA[A-Z2-7]{16}\n", listed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder somebody else's")
def test_files_that_root_creates_belong_to_the_owner_of_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 4711, 4712)
    assert run_jedlik("credentials", "create", "--data-dir", str(data)).returncode == 0
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in tmp_path.rglob("*")}
    files = ("credentials.json", "credentials.json.lock", "root-key.json", "root-key.json.lock", "data.root-key")
    assert owners == dict.fromkeys(("data", *files), (4711, 4712))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ended = run_jedlik("credentials", "create", "--data-dir", str(file))
    assert (ended.returncode, ended.stderr) == (2, f"jedlik: cannot use {file}: File exists\n")
