"""A server's messages to the person who starts and stops it, and the form of its log for people and for programs."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jedlik.process.logs import JsonFormatter, TextFormatter
from testing.data_folders import store_in
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.private_ways import ENDPOINT, settings
from testing.terminal import CONTROL_C, Terminal

Start = Callable[..., Server]


def at_terminal(*options: str, **environment: str) -> Terminal:
    """A server that a person starts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JEDLIK_", "NO_COLOR"))}
    words = [sys.executable, "-m", "jedlik", "serve", "--port", "0", "--workers", "1", *options]
    return Terminal(words, kept | environment)


def test_a_person_gets_a_greeting_and_a_message_at_the_stop(tmp_path: Path) -> None:
    terminal = at_terminal("--data-dir", str(tmp_path))
    shown = terminal.until("Ctrl-C stops the server.\n")
    [url] = re.findall(r"serves DynamoDB on (http://127\.0\.0\.1:\d+)\n", shown)
    assert f"  data     {tmp_path}; an acknowledged write is on the disk\n" in shown
    assert "  regions  any; each has tables of its own\n" in shown
    assert f"  export AWS_ENDPOINT_URL_DYNAMODB={url} AWS_ENDPOINT_URL_DYNAMODB_STREAMS={url}\n" in shown
    assert "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n" in shown
    assert "\x1b[" in terminal.drawn
    terminal.press(CONTROL_C)
    assert terminal.end() == 0
    said = terminal.shown.split("Ctrl-C stops the server.\n")[1]
    assert re.search(r"^(\^C)?[\d:.]{12} info    stopping: requests in flight have 25 seconds to finish$", said, re.M)
    assert re.search(r"^[\d:.]{12} info    stopped$", said, re.M)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--in-memory", "--regions", "eu-west-1,us-east-1"), "  data     in memory, gone when the server stops\n"),
        (("--in-memory", "--regions", "eu-west-1,us-east-1"), "  regions  eu-west-1, us-east-1\n"),
        (("--in-memory", "--regions", "eu-west-1,us-east-1"), "export AWS_DEFAULT_REGION=eu-west-1 "),
        (
            ("--auth", "on"),
            "  access   signed requests only: `jedlik credentials create --profile jedlik` makes",
        ),
        (("--auth", "on"), "AWS_PROFILE=jedlik\n"),
        (
            ("--host", "0.0.0.0", "--allow-unauthenticated", "--allowed-hosts", "db"),
            "  access   ANYBODY who reaches this address may do everything (--allow-unauthenticated)\n",
        ),
        (
            ("--host", "0.0.0.0", "--allow-unauthenticated", "--allowed-hosts", "db"),
            "export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:",
        ),
    ],
)
def test_the_greeting_describes_this_server(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    terminal = at_terminal("--data-dir", str(tmp_path), *options)
    assert said in terminal.until("Ctrl-C stops the server.\n")
    terminal.press(CONTROL_C)
    assert terminal.end() == 0


def test_the_greeting_shows_where_vpc_endpoints_are(tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(settings(ENDPOINT))
    terminal = at_terminal("--in-memory", "--config", str(file))
    shown = terminal.until("Ctrl-C stops the server.\n")
    assert re.search(rf"^  endpoint {ENDPOINT} on http://127\.0\.0\.1:\d+$", shown, re.M)
    terminal.press(CONTROL_C)
    assert terminal.end() == 0


def test_colour_can_be_switched_off(tmp_path: Path) -> None:
    terminal = at_terminal("--data-dir", str(tmp_path), NO_COLOR="1")
    terminal.until("Ctrl-C stops the server.\n")
    terminal.press(CONTROL_C)
    assert terminal.end() == 0
    assert "\x1b" not in terminal.drawn


def test_json_can_be_chosen_on_a_terminal(tmp_path: Path) -> None:
    terminal = at_terminal("--data-dir", str(tmp_path), "--log-format", "json")
    line = json.loads(terminal.until("\n").splitlines()[0])
    assert line["message"] == "listening"
    terminal.press(CONTROL_C)
    assert terminal.end() == 0


def test_a_program_reads_that_it_stops_and_what_it_waits_for(start_server: Start) -> None:
    server = start_server(stop_timeout=60)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
        answered = threading.Thread(target=lambda: server.client().list_tables())
        answered.start()
        answered.join()
        server.send_signal(signal.SIGTERM)
        eventually(lambda: any(line["message"] == "waiting for requests in flight" for line in server.log_lines()))
        client.sendall(b"}")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 ")
    assert server.wait() == 0
    said = {line["message"]: line for line in server.log_lines()}
    assert list(said) == [
        "listening",
        "stopping: requests in flight have 60 seconds to finish",
        "waiting for requests in flight",
        "stopped",
    ]
    waiting = said["waiting for requests in flight"]
    assert (waiting["connections"], waiting["seconds"]) == (1, 59.0)


def test_a_file_may_have_lines_without_colour(tmp_path: Path) -> None:
    ended = run_jedlik(
        "serve", "--port", "0", "--auth", "on", "--data-dir", str(tmp_path), "--log-format", "text", "--tls-key", "x"
    )
    assert ended.stderr == "jedlik: tls_cert and tls_key must be given together\n"
    store_in(tmp_path).mkdir(parents=True)
    (store_in(tmp_path) / "data.mdb").write_bytes(b"nonsense" * 1000)
    ended = run_jedlik("serve", "--port", "0", "--workers", "1", "--data-dir", str(tmp_path), "--log-format", "text")
    assert ended.returncode == 2
    assert re.fullmatch(rf"[\d:.]{{12}} error   cannot use the data directory {tmp_path}: .+\n", ended.stderr)


@pytest.mark.parametrize(("level", "lines"), [("info", 1), ("warning", 0)])
def test_messages_below_the_level_are_not_logged(level: str, lines: int, start_server: Start, tmp_path: Path) -> None:
    words = ("--data-dir", str(tmp_path / "data"), "--log-level", level, "--log-format", "json")
    terminal = at_terminal(*words)
    eventually(lambda: (tmp_path / "data" / "lock").exists())
    server_is_ready = "listening" if lines else ""
    terminal.until(server_is_ready)
    terminal.press(CONTROL_C)
    terminal.end()
    assert terminal.shown.count('"message":"listening"') == lines


def test_every_start_without_protection_is_logged(start_server: Start) -> None:
    server = start_server(host="0.0.0.0", allow_unauthenticated=True, allowed_hosts="db")
    warning = server.log_lines()[0]
    assert (warning["level"], warning["message"]) == (
        "warning",
        "anybody who reaches 0.0.0.0 may read and change everything: --allow-unauthenticated",
    )


def test_a_request_cannot_begin_a_line_or_control_the_terminal() -> None:
    record = logging.makeLogRecord({"msg": "fault: a\n\x1b[2Jb\x9bc", "levelname": "ERROR", "target": "x\n y", "n": 1})
    line = TextFormatter(colour=False).format(record)
    assert line.partition(" error   ")[2] == r'fault: a\x0a\x1b[2Jb\x9bc target="x\n y" n=1'


HIDDEN = "\x00\n\x1b\x7f\x85\x9b\u2028\u2029\u202e\u2066\ufeff\U000e0001"
"""Control characters, line ends, and characters that hide or reorder what follows them."""


@pytest.mark.parametrize("formatter", [TextFormatter(colour=False), JsonFormatter()])
def test_for_any_request_a_line_is_one_line_of_visible_characters(formatter: logging.Formatter) -> None:
    line = formatter.format(logging.makeLogRecord({"msg": f"a{HIDDEN}", "target": f"t{HIDDEN}", "access_key": HIDDEN}))
    assert line.isprintable()
    assert r"\u202e" in line


def test_a_json_line_has_what_was_sent() -> None:
    line = json.loads(JsonFormatter().format(logging.makeLogRecord({"msg": HIDDEN, "target": f'"{HIDDEN}ü\\'})))
    assert (line["message"], line["target"]) == (HIDDEN, f'"{HIDDEN}ü\\')
