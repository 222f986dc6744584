"""Where a server's root key comes from, when one is made, and what is refused. With real server processes."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jedlik.config import Settings
from jedlik.regions import root_key_record, root_key_sources
from jedlik.regions.root_key_sources import RootKeyError
from jedlik.root_key import id_of
from testing.jedlik_process import Server, run_jedlik
from testing.terminal import CONTROL_C, Terminal

Start = Callable[..., Server]
KEY, OTHER = secrets.token_hex(32), secrets.token_hex(32)


def id_in(text: str) -> str:
    return id_of(bytes.fromhex(text)).hex()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def begun(folder: Path, key: str = KEY) -> Path:
    """A data folder that has a root key."""
    root_key_record.write(folder, root_key_record.Record(id_in(key)))
    return folder


def serve(folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    done = run_jedlik("serve", "--port", "0", "--data-dir", str(folder), *options, **environment)
    return done.returncode, done.stderr


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


# The key is made once, for an empty folder, and is not in it.


def test_a_first_start_makes_the_key_beside_the_folder_and_logs_it(start_server: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = tmp_path / "data.root-key"
    server = start_server(data_dir=data)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().split()) == 1
    [line] = [line for line in server.log_lines() if line["message"] == "listening"]
    assert line["root_key"] == str(file)
    assert line["note"].startswith(f"The root key was just made in {file}. Keep a copy of it")
    assert (data / "root-key.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((data / "root-key.json").read_text()) == {"Key": id_in(file.read_text().strip())}
    server.stop()
    again = start_server(data_dir=data)
    [line] = [line for line in again.log_lines() if line["message"] == "listening"]
    assert line["root_key"] == str(file)
    assert "note" not in line


def test_a_person_reads_it_in_the_greeting(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "jedlik", "serve", "--port", "0", "--workers", "1", "--data-dir", "store"]
    terminal = Terminal(["sh", "-c", f"cd {tmp_path} && exec {shlex.join(words)}"], dict(os.environ))
    shown = terminal.until("Ctrl-C stops the server.\n")
    assert f"  root key {tmp_path}/store.root-key; JUST MADE: keep a copy, not beside copies of the data. " in shown
    terminal.press(CONTROL_C)
    assert terminal.end() == 0


def test_a_start_that_fails_after_it_has_made_the_key_names_the_key(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = serve(data, "--port", str(taken.getsockname()[1]))
    failure, note = said.splitlines()
    assert (code, failure.partition(": another program")[1]) == (2, ": another program")
    assert note.startswith(f"The root key was just made in {data}.root-key. Keep a copy of it")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "root key" not in serve(data, "--port", str(taken.getsockname()[1]))[1]


def test_a_service_makes_none(tmp_path: Path) -> None:
    data = tmp_path / "data"
    code, said = serve(data, "--no-root-key-make")
    assert code == 2
    assert said == (
        f"jedlik: there is no root key in {tmp_path}/data.root-key, and none is made for a service or with "
        "root_key_make = false: make one with `jedlik init`, or name where it is (--root-key-file)\n"
    )
    as_service = (
        'import os, sys; os.environ["SYSTEMD_EXEC_PID"] = str(os.getpid()); os.execvp(sys.argv[1], sys.argv[1:])'
    )
    words = [sys.executable, "-c", as_service, sys.executable, "-m", "jedlik", "serve", "--data-dir", str(data)]
    done = subprocess.run([*words, "--port", "0"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, said)
    assert not (tmp_path / "data.root-key").exists()


def test_in_memory_there_is_no_ceremony(start_server: Start, tmp_path: Path) -> None:
    server = start_server(in_memory=True, data_dir=tmp_path / "data")
    assert [line["message"] for line in server.log_lines()] == ["listening"]
    assert not list(tmp_path.glob("data*"))


def test_init_makes_folder_and_key(start_server: Start, tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "keys" / "root"
    made = run_jedlik("init", "--data-dir", str(data), "--root-key-file", str(file))
    assert made.stdout == (
        f"data folder: {data}\n"
        f"root key: {file}, just made, with the id {id_in(file.read_text().strip())}\n"
        "Keep a copy of the root key in another place than the data. Without it, the data is lost.\n"
    )
    again = run_jedlik("init", "--data-dir", str(data), "--root-key-file", str(file))
    assert again.stdout == made.stdout.replace(", just made", "")
    assert start_server(data_dir=data, root_key_file=file).stop() == 0
    code, said = serve(data)
    assert code == 2
    assert said.startswith(f"jedlik: there is no root key in {tmp_path}/data.root-key, and {data} has secrets sealed")


# Where it may be.


def found(folder: Path, **settings: object) -> str:
    """The name of the source in which the key of a folder is found."""
    key = root_key_record.found(Settings(data_dir=folder, **settings), may_make=False)  # type: ignore[arg-type]
    assert key is not None
    assert key.current.hex() == KEY
    return key.source.name


def test_it_may_be_in_a_file_a_command_a_credential_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = begun(tmp_path / "data")
    file = private(tmp_path / "key", f"{KEY}\n")
    assert found(data, root_key_file=file) == str(file)
    assert found(data, root_key=KEY) == "the variable JEDLIK_ROOT_KEY"
    command = f"cat {shlex.quote(str(file))}"
    assert found(data, root_key_command=command) == "the output of root_key_command"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert found(data, root_key_credential="key") == "the systemd credential key"
    file.rename(tmp_path / "jedlik.root-key")
    assert found(data) == "the systemd credential jedlik.root-key"


def refusal(folder: Path, **settings: object) -> str:
    before = contents(folder)
    with pytest.raises(RootKeyError) as refused:
        root_key_record.found(Settings(data_dir=folder, **settings), may_make=True)  # type: ignore[arg-type]
    assert contents(folder) == before
    assert KEY not in str(refused.value)
    assert OTHER not in str(refused.value)
    return str(refused.value)


def test_what_cannot_be_used_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    data = begun(tmp_path / "data")
    file = private(tmp_path / "key", f"{OTHER}\n")
    assert refusal(data, root_key_file=file) == (
        f"the root key in {file} is {id_in(OTHER)}, and not {id_in(KEY)}, which {data} is sealed under; nothing has "
        "been changed, and what is sealed in the data folder cannot be read without it"
    )
    assert refusal(data) == (
        f"there is no root key in {tmp_path}/data.root-key, and {data} has secrets sealed under the key {id_in(KEY)}: "
        "put it back, or name where it is (--root-key-file); what is sealed in the data folder cannot be read without "
        "it"
    )
    both = refusal(data, root_key_file=file, root_key=KEY)
    assert both == "root_key_file and JEDLIK_ROOT_KEY: the root key is to be in one place only"
    inside = refusal(data, root_key_file=data / "key")
    assert inside == f"the root key must not be in the data folder, as {data / 'key'} is: a copy would have both"
    file.chmod(0o640)
    open_to_others = refusal(data, root_key_file=file)
    assert open_to_others == f"{file} holds the root key and must be readable by its owner only: chmod 600 {file}"
    private(file, "password\n")
    assert refusal(data, root_key_file=file) == (
        f"{file} does not hold a root key: a root key is 32 random bytes in hexadecimal or base64, like what "
        "`openssl rand -hex 32` prints"
    )
    private(file, "\n")
    assert refusal(data, root_key_file=file) == f"{file} is empty: it is to hold the root key"
    private(file, "x" * 5000)
    assert refusal(data, root_key_file=file) == f"{file} is too long for a root key"
    assert refusal(data, root_key_command="false") == "root_key_command ended with 1"
    assert refusal(data, root_key_command="/nowhere/vault") == (
        "root_key_command cannot be run: No such file or directory"
    )
    assert refusal(data, root_key_command="'") == "root_key_command is no command: No closing quotation"
    assert refusal(data, root_key_credential="key") == (
        "there is no systemd credential key: pass one with LoadCredentialEncrypted=key:..."
    )


def test_a_command_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_key_sources, "COMMAND_SECONDS", 0.1)
    data = begun(tmp_path / "data")
    assert refusal(data, root_key_command="sleep 60") == "root_key_command has not ended after 0.1 seconds"


def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    data = begun(tmp_path / "data")
    (data / "root-key.json").write_text("[]")
    assert refusal(data, root_key=KEY).startswith(f"{data / 'root-key.json'} is no record of a root key: ")


def test_the_server_refuses_another_key_and_hands_none_to_its_children(start_server: Start, tmp_path: Path) -> None:
    data = begun(tmp_path / "data")
    code, said = serve(data, JEDLIK_ROOT_KEY=OTHER)
    assert code == 2
    assert f"is {id_in(OTHER)}, and not {id_in(KEY)}, which {data} is sealed under" in said
    server = start_server(data_dir=data, environment={"JEDLIK_ROOT_KEY": KEY})
    [line] = [line for line in server.log_lines() if line["message"] == "listening"]
    assert line["root_key"] == "the variable JEDLIK_ROOT_KEY"


def test_the_file_of_settings_has_a_table_for_it(start_server: Start, tmp_path: Path) -> None:
    data = begun(tmp_path / "data")
    file = private(tmp_path / "key", f"{KEY}\n")
    config = tmp_path / "jedlik.toml"
    config.write_text(f'[root_key]\nfile = "{file}"\nmake = false\n')
    server = start_server(data_dir=data, config=config)
    [line] = [line for line in server.log_lines() if line["message"] == "listening"]
    assert line["root_key"] == str(file)
    config.write_text('[root_key]\nfiel = "x"\n')
    code, said = serve(data, "--config", str(config))
    assert (code, said) == (2, f"jedlik: {config}: root_key: no such setting: fiel (did you mean file?)\n")
    config.write_text(f'root_key = "{KEY}"\n')
    code, said = serve(data, "--config", str(config))
    assert (code, said) == (
        2,
        f"jedlik: {config}: root_key is a table that names where the root key is, like file = ...\n",
    )


def test_a_folder_of_an_earlier_version_starts_without_and_logs_how_to_get_one(
    start_server: Start, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "accounts").mkdir(parents=True)
    server = start_server(data_dir=data)
    [warning] = [line for line in server.log_lines() if line["level"] == "warning"]
    assert warning["message"] == (
        f"the data folder {data} has no root key, so tables and secrets lie open: stop the server and run `jedlik init`"
    )
    assert not (tmp_path / "data.root-key").exists()
