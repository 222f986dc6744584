"""The command: `python -m testing.corpus record|settle|replay FILE`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

from testing.corpus.exchanges import Exchange, load, save
from testing.corpus.recorder import Recorder
from testing.corpus.replaying import Difference, Replay, serving

TESTS = ("-p", "no:cacheprovider", "tests/dynamodb", "--ignore=tests/dynamodb/model")
"""Recorded by default: these tests one after the other, on one server."""
SHOWN = 20
"""Differences that are printed in full."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m testing.corpus", description=__doc__)
    parser.add_argument("what", choices=("record", "settle", "replay"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--listen", type=int, default=0, help="the port that COMMAND asks")
    parser.add_argument("command", nargs="*", help="what to record; the tests of DynamoDB's operations by default")
    arguments = parser.parse_args()
    if arguments.what == "record":
        return record(arguments.file, arguments.listen, arguments.command)
    exchanges = load(arguments.file)
    found = replayed(exchanges)
    if arguments.what == "settle":
        for difference in found:
            exchanges[difference.number].compared = False
        save(arguments.file, exchanges)
    else:
        for difference in found[:SHOWN]:
            print(difference)
    compared = sum(one.compared for one in exchanges)
    print(f"{len(exchanges)} requests, {compared} answers compared, {len(found)} differ")
    return 1 if found and arguments.what == "replay" else 0


def record(file: Path, listen: int, command: list[str]) -> int:
    """Record what a command asks a fresh server; returns the command's exit code."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        recorder = Recorder(server.port, listen)
        asking = command or [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "tests/dynamodb",
            "--ignore=tests/dynamodb/model",
        ]
        done = subprocess.run(asking, env=os.environ | {"JEDLIK_TEST_ENDPOINT": recorder.url}, check=False)
        exchanges = recorder.close()
    leave_out_replicas(exchanges)
    save(file, exchanges)
    print(f"{len(exchanges)} requests recorded")
    return done.returncode


def leave_out_replicas(exchanges: list[Exchange]) -> None:
    """Compare nothing about replicated tables: their answers depend on the progress of other regions."""
    replicated: set[str] = set()
    for one in exchanges:
        if b"ReplicaUpdates" in one.request or b"ReplicationGroup" in one.request or b"GlobalTableName" in one.request:
            asked = orjson.loads(one.request)
            replicated |= {name for name in (asked.get("TableName"), asked.get("GlobalTableName")) if name}
    for one in exchanges:
        if any(name.encode() in one.request for name in replicated):
            one.compared = False


def replayed(exchanges: list[Exchange]) -> list[Difference]:
    """The answers of a fresh server that differ."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        return list(Replay(server).differences(exchanges))


if __name__ == "__main__":
    sys.exit(main())
