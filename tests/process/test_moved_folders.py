"""A data folder that is moved, removed or replaced under a running server: what was acknowledged stays with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server

StartServer = Callable[..., Server]


def replace_by_a_copy(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    folder.rename(folder.with_name("moved"))
    folder.with_name("copy").rename(folder)


def move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


@pytest.mark.parametrize("change", [move, replace_by_a_copy])
def test_a_server_ends_when_its_folder_is_another(
    start_server: StartServer, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    server = start_server(data_dir=folder, workers=2)
    client = server.client()
    client.create_table(
        TableName="moved",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="moved", Item={"p": {"S": "acknowledged"}})
    change(folder)
    assert server.wait() == 1
    assert (
        f"the data directory {folder} has been moved, removed or replaced: the server ends, because what it would "
        "acknowledge from now on could be lost"
    ) in [line["message"] for line in server.log_lines()]
    shutil.copy(f"{folder}.root-key", tmp_path / "moved.root-key")
    again = start_server(data_dir=tmp_path / "moved").client()
    assert again.get_item(TableName="moved", Key={"p": {"S": "acknowledged"}})["Item"] == {"p": {"S": "acknowledged"}}
