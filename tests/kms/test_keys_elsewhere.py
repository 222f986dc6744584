"""What another KMS may answer: whatever it is, a table is open with its key, or waits."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from jedlik.aws.authorizer import Everybody
from jedlik.aws.context import Context, own
from jedlik.aws.table_keys import Adopted, KeyAway, KeyUnusable
from jedlik.kms import service as kms
from jedlik.kms.keys_elsewhere import KeysElsewhere
from jedlik.other_kms import OtherKms
from jedlik.regions.region import Region
from testing import regions
from testing.kms_operations import OneRegion
from testing.regions import SetClock

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd"
KEY = b"k" * 32
ADOPTED = Adopted(ARN, "", b"sealed", elsewhere=True)
PAIRS = {"aws:dynamodb:tableName": "songs"}
DESCRIBED = {"KeyMetadata": {"Arn": ARN, "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT"}}
Scenario = Callable[[KeysElsewhere, Region], Awaitable[None]]


def text(value: bytes) -> str:
    return b64encode(value).decode()


def answered(folder: Path, answers: dict[str, Any], scenario: Scenario, status: int = 200) -> None:
    """Run a scenario with a KMS that gives each operation its answer, a byte at a time, whatever it was asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
                [answer] = [value for name, value in answers.items() if f"trentservice.{name.lower()}\r\n" in head]
                body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
                writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
                await writer.drain()
                for start in range(0, len(body), step := max(1, len(body) // 20)):
                    writer.write(body[start : start + step])
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def run(region: Region, clock: SetClock) -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        keys = KeysElsewhere(kms.keys_of_tables(OneRegion()), OtherKms(url, "a", "b"), Everybody())
        try:
            await scenario(keys, region)
        finally:
            await keys.close()
            server.close()

    regions.run(folder, run)


def test_an_answer_in_pieces_is_a_whole_one(tmp_path: Path) -> None:
    made = {"Plaintext": text(KEY), "CiphertextBlob": text(b"s" * 4000)}

    async def scenario(keys: KeysElsewhere, region: Region) -> None:
        for _ in range(3):
            assert await keys.open(region, ADOPTED, PAIRS) == KEY
        adopted, opened = await keys.adopt(Context(region, "a request", own(region)), ARN, PAIRS)
        assert (adopted, opened) == (Adopted(ARN, "", b"s" * 4000, elsewhere=True), KEY)

    answered(tmp_path, {"Decrypt": made, "GenerateDataKey": made, "DescribeKey": DESCRIBED}, scenario)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Plaintext": None},
        {"Plaintext": 5},
        {"Plaintext": "?"},
        {"Plaintext": text(b"k" * 16)},
        {"Plaintext": [text(KEY)]},
        [],
        b"",
        b"<html>",
        b"{" + b" " * (1 << 20) + b"}",
    ],
)
def test_what_is_no_data_key(tmp_path: Path, answer: Any) -> None:
    async def scenario(keys: KeysElsewhere, region: Region) -> None:
        for ask in (keys.open, keys.check):
            with pytest.raises(KeyAway):
                await ask(region, ADOPTED, PAIRS)

    answered(tmp_path, {"Decrypt": answer}, scenario)


@pytest.mark.parametrize(
    ("described", "made"),
    [
        ({}, {}),
        ({"KeyMetadata": []}, {}),
        ({"KeyMetadata": {"Arn": 5}}, {}),
        ({"KeyMetadata": {"Arn": "alias/songs"}}, {}),
        (DESCRIBED, {}),
        (DESCRIBED, {"Plaintext": text(KEY)}),
        (DESCRIBED, {"Plaintext": text(KEY), "CiphertextBlob": {}}),
        (DESCRIBED, {"Plaintext": text(KEY), "CiphertextBlob": text(b"s" * 6145)}),
    ],
)
def test_what_is_not_adopted(tmp_path: Path, described: Any, made: Any) -> None:
    async def scenario(keys: KeysElsewhere, region: Region) -> None:
        with pytest.raises(KeyAway):
            await keys.adopt(Context(region, "a request", own(region)), ARN, PAIRS)

    answered(tmp_path, {"DescribeKey": described, "GenerateDataKey": made}, scenario)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (400, {"__type": "com.amazonaws.kms#DisabledException", "message": "it is disabled"}, KeyUnusable),
        (500, {"__type": "com.amazonaws.kms#DisabledException", "message": "a fault"}, KeyAway),
        (400, {"__type": "ThrottlingException"}, KeyAway),
        (400, {"__type": 5, "message": []}, KeyAway),
        (301, {}, KeyAway),
    ],
)
def test_refusals(tmp_path: Path, status: int, answer: Any, error: type[Exception]) -> None:
    async def scenario(keys: KeysElsewhere, region: Region) -> None:
        with pytest.raises(error):
            await keys.open(region, ADOPTED, PAIRS)

    answered(tmp_path, {"Decrypt": answer}, scenario, status)
