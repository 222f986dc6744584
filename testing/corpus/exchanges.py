"""Exchanges: requests with their answers, in the order in which they were sent, as a file keeps them."""

from __future__ import annotations

import base64
import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson


@dataclass(slots=True)
class Exchange:
    """One request and its answer. Bodies are bytes as they went over the wire."""

    headers: dict[str, str]
    """The headers of the request that its answer may depend on."""
    request: bytes
    status: int
    content_type: str
    answer: bytes
    compared: bool = True
    """False if the answer differs between two runs of the same code: then the request is sent, and its answer is not
    compared."""

    @property
    def operation(self) -> str:
        """The operation's name, without the service."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]


def save(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write a corpus: a compressed file with a line for each exchange."""
    with lzma.open(path, "wb", preset=6) as file:
        for one in exchanges:
            line = {
                "headers": one.headers,
                "request": _text(one.request),
                "status": one.status,
                "content_type": one.content_type,
                "answer": _text(one.answer),
                "compared": one.compared,
            }
            file.write(orjson.dumps(line) + b"\n")


def load(path: Path) -> list[Exchange]:
    """Read a corpus."""
    with lzma.open(path, "rb") as file:
        lines = [orjson.loads(line) for line in file]
    return [
        Exchange(
            line["headers"],
            _bytes(line["request"]),
            line["status"],
            line["content_type"],
            _bytes(line["answer"]),
            line["compared"],
        )
        for line in lines
    ]


def _text(body: bytes) -> str | dict[str, str]:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _bytes(text: str | dict[str, str]) -> bytes:
    return text.encode() if isinstance(text, str) else base64.b64decode(text["base64"])
