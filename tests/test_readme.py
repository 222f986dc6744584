"""The README is true: its tours run as written, and its tables agree with the code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import requests

from jedlik.aws.shapes import service_model
from jedlik.config import Settings, options
from jedlik.process.workers import TAKEN_ONCE
from jedlik.settings_file import from_file
from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server

README = (Path(__file__).parent.parent / "README.md").read_text()
BIN = Path(sys.executable).parent
"""Where the AWS CLI is, if it is installed beside the project."""
COMMAND_SECONDS = 60
BLOCK = re.compile(r"(?P<prose>.*?)^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def section(heading: str) -> str:
    """What stands under a heading."""
    return README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def commands(console: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with its expected output."""
    for one in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        lines = one.splitlines()
        end = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
        yield "\n".join(lines[:end]), "\n".join(lines[end:])


@pytest.mark.skipif(shutil.which("aws", path=BIN) is None, reason="the AWS CLI is not installed")
@pytest.mark.parametrize("heading", ["A tour in five minutes", "Two regions"])
def test_the_tours_run_as_written(heading: str, start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server()
    exports: list[str] = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"PATH": f"{BIN}:{environment['PATH']}", "HOME": str(tmp_path)}
    for block in BLOCK.finditer(section(heading)):
        if "kill -9" in block["prose"]:
            server.kill()
            server.restart()
        if block["kind"] == "python":
            (tmp_path / "tour.py").write_text(block["text"])
        if block["kind"] == "toml":
            (tmp_path / "example.toml").write_text(block["text"])
            given = {**from_file(tmp_path / "example.toml"), "peer_secret": (32 * "a",)}
            assert Settings(**given).serves("eu-central-1")
        if block["kind"] != "console":
            continue
        for command, printed in commands(block["text"].replace("http://127.0.0.1:8000", server.url)):
            if command.startswith("export "):
                exports.append(command)
                continue
            ran = subprocess.run(
                ["bash", "-c", "\n".join([*exports, command])],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=tmp_path,
                env=environment,
                timeout=COMMAND_SECONDS,
                check=False,
            )
            assert ran.stdout.strip() == printed.strip(), command


def test_the_example_of_dax_runs_as_written(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(dax=True, dax_port=0)
    client = server.client(region_name="eu-central-1")
    client.create_table(
        TableName="Music",
        KeySchema=key_schema("Artist", "Song"),
        AttributeDefinitions=attributes(Artist="S", Song="S"),
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"Artist": {"S": "Kraftwerk"}, "Song": {"S": "Autobahn"}, "Year": {"N": "1974"}}
    client.put_item(TableName="Music", Item=item)
    [example] = [block["text"] for block in BLOCK.finditer(section("A cache: DAX")) if block["kind"] == "python"]
    ran = subprocess.run(
        [sys.executable, "-c", example.replace("dax://127.0.0.1:8111", server.dax_url)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"},
        timeout=COMMAND_SECONDS,
        check=True,
    )
    assert ran.stdout == "1974\n"


@pytest.mark.parametrize("tool", ["aws", "curl"])
def test_the_first_requests_run_as_written(tool: str, server: Server, tmp_path: Path) -> None:
    path = f"{BIN}:{os.environ['PATH']}"
    if shutil.which(tool, path=path) is None:
        pytest.skip(f"{tool} is not installed")
    [command] = [
        block["text"]
        for block in BLOCK.finditer(section("Two commands"))
        if re.search(rf"^\s*{tool} ", block["text"], re.M)
    ]
    ran = subprocess.run(
        ["bash", "-c", command.replace("http://127.0.0.1:8000", server.url)],
        capture_output=True,
        text=True,
        env={"PATH": path, "HOME": str(tmp_path)},
        timeout=COMMAND_SECONDS,
        check=True,
    )
    assert isinstance(json.loads(ran.stdout)["TableNames"], list)


def test_every_setting_is_in_the_table() -> None:
    types = get_type_hints(Settings, include_extras=True)
    expected = ["| option | environment | key in the file | default | meaning |", "|---|---|---|---|---|"]
    for setting in options():
        option = "--" + setting.name.replace("_", "-")
        default = f"`{setting.default}`" if setting.default is not None else ""
        if isinstance(setting.default, bool):
            default = "on" if setting.default else "off"
        meaning = get_args(types[setting.name])[1]
        expected.append(f"| `{option}` | `JEDLIK_{setting.name.upper()}` | `{setting.name}` | {default} | {meaning} |")
    assert [line for line in section("Settings").splitlines() if line.startswith("|")] == expected


def test_the_settings_that_need_a_stop_are_named() -> None:
    [sentence] = re.findall(
        r"Only a stop and a start change (.*?),\s+the\s+addresses", section("Serving others"), re.DOTALL
    )
    assert re.findall(r"`(\w+)`", sentence) == list(TAKEN_ONCE)


STREAMS = service_model.operation_names("dynamodbstreams")


def test_the_readme_lists_every_operation_as_working_or_not(server: Server) -> None:
    known = service_model.operation_names("dynamodb") | STREAMS
    works, does_not = section("What works today").split("does not work yet", 1)
    for said, expected in ((works, True), (does_not, False)):
        names = {name for name in re.findall(r"`(\w+)`", said) if name in known}
        assert names == {name for name in known if is_served(server, name) is expected}


def is_served(server: Server, operation: str) -> bool:
    api = "DynamoDBStreams_20120810" if operation in STREAMS else "DynamoDB_20120810"
    headers = {
        "X-Amz-Target": f"{api}.{operation}",
        "X-Amz-Date": "20261123T000000Z",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/dynamodb/aws4_request, "
        f"SignedHeaders=host;x-amz-date;x-amz-target, Signature={'0' * 64}",
    }
    answer = requests.post(server.url, data="{}", headers=headers, timeout=COMMAND_SECONDS).json()
    return not answer.get("__type", "").endswith("#UnknownOperationException")
