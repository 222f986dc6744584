"""A client of DAX in another language, with the methods of boto3's: what it is asked goes to a program, line by line.

A request is a line of JSON, with bytes as base64, as DynamoDB's own JSON has them. So is the answer.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from testing.jedlik_process import PATIENCE, Server
from tests.clients.foreign import Foreign

END_SECONDS = 30
NO_NODES = "no healthy endpoints available"


class ForeignDax:
    """A running program."""

    def __init__(self, program: Foreign, server: Server, errors: Path, **variables: str) -> None:
        self.name = program.name
        self._errors = errors
        with errors.open("w") as written:
            self._process = program.started(server, written, DAX_ENDPOINT=server.dax_url, **variables)

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        operation = re.sub(r"_(\w)", lambda found: found[1].upper(), name)
        return lambda **request: self._answer(operation, request)

    def _answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises ClientError, as boto3's client does.

        That for Java has no nodes for a while when a busy machine was slow to connect it. It has sent nothing then.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            outcome = self._outcome(operation, request)
            error = outcome.get("error")
            if error is None:
                answer: dict[str, Any] = _with_bytes(outcome["answer"])
                return answer
            if NO_NODES not in error["message"] or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        response: Any = {"Error": {"Code": error["name"], "Message": error["message"]}}
        if error["reasons"] is not None:
            response["CancellationReasons"] = _with_bytes(error["reasons"])
        raise ClientError(response, operation)

    def _outcome(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = json.dumps({"operation": operation, "request": request}, default=_base64)
        self._process.stdin.write(f"{asked}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self.name} has ended: {self._errors.read_text()[-3000:]}"
        outcome: dict[str, Any] = json.loads(line)
        return outcome

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _base64(value: object) -> str:
    assert isinstance(value, bytes)
    return base64.b64encode(value).decode()


def _with_bytes(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {member: _with_bytes(one, member) for member, one in value.items()}
    if isinstance(value, list):
        return [_with_bytes(one, "B" if name == "BS" else "") for one in value]
    return base64.b64decode(value) if name == "B" and isinstance(value, str) else value
