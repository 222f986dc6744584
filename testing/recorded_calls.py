"""A pytest plugin that notes which members of requests and answers the tests in tests/dynamodb send and receive.

It listens to the boto3 clients of the test's process. A member of a request is accepted if a request with it gets an
answer, even if its condition failed, and refused if all requests with it are refused. A member of an answer is returned
if some answer has it.

When all of these tests have run and none has failed, the notes are compared with reference/recorded.json: everything in
the record must have happened again, or the run fails. With --record-calls the record is written instead. Any other run
leaves it alone. With several workers (xdist), each makes its own notes and the controller puts them together.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from reference import members

RECORD = Path(members.__file__).parent / "recorded.json"
TESTS = Path(__file__).parent.parent / "tests" / "dynamodb"
KINDS = ("accepted", "refused", "returned")

_UNMET = {"ConditionalCheckFailed", "DuplicateItem", "None"}
"""Error codes that a correct request may get."""

Calls = dict[str, dict[str, set[str]]]
"""By operation and kind, the paths of members."""


class Recorder:
    """What has been noted."""

    def __init__(self) -> None:
        self.active = False
        """Whether a test of tests/dynamodb is running, its fixtures included."""
        self.calls: Calls = defaultdict(lambda: {kind: set() for kind in KINDS})

    def listen(self) -> None:
        """Listen to all clients that are made from now on."""
        boto3.setup_default_session()
        events = boto3.DEFAULT_SESSION.events
        for service in members.SERVICES:
            events.register(f"before-parameter-build.{service}", self._sent)
            events.register(f"after-call.{service}", self._answered)

    def add(self, calls: dict[str, dict[str, list[str]]]) -> None:
        """Add the notes of another process."""
        for operation, kinds in calls.items():
            for kind, paths in kinds.items():
                self.calls[operation][kind] |= set(paths)

    def noted(self) -> dict[str, dict[str, list[str]]]:
        """All notes, in order. A member that was accepted once is not refused."""
        result = {}
        for operation, kinds in sorted(self.calls.items()):
            refused = kinds["refused"] - kinds["accepted"]
            result[operation] = {k: sorted(refused if k == "refused" else kinds[k]) for k in KINDS}
        return result

    def _sent(self, params: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
        context["members"] = members.given(model.input_shape, params) if self.active else None

    def _answered(self, http_response: Any, parsed: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
        sent = context.get("members")
        if sent is None:
            return
        calls = self.calls[model.name]
        if http_response.status_code < 300:
            calls["accepted"] |= sent
            calls["returned"] |= members.given(model.output_shape, parsed)
        elif _is_of_a_condition(parsed):
            calls["accepted"] |= sent
        else:
            calls["refused"] |= sent


def _is_of_a_condition(parsed: Any) -> bool:
    """Whether an error reports a failed condition, and the request itself was correct."""
    code = parsed["Error"]["Code"]
    if code == "TransactionCanceledException":
        return {reason["Code"] for reason in parsed["CancellationReasons"]} <= _UNMET
    return code.removesuffix("Exception") in _UNMET


class Plugin:
    """Where pytest is listened to."""

    def __init__(self, config: pytest.Config) -> None:
        self.recorder = Recorder()
        self.recorder.listen()
        self._config = config
        self._deselected = False
        self._complete = False
        self._missing: list[str] = []

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._deselected = self._deselected or bool(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note whether all the tests are going to run."""
        files = {item.path for item in session.items}
        whole = not any("::" in argument for argument in session.config.args)
        self._complete = whole and not self._deselected and files >= set(TESTS.glob("test_*.py"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.recorder.active = item.path.is_relative_to(TESTS)
        try:
            return (yield)
        finally:
            self.recorder.active = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has come to its end."""
        output = getattr(node, "workeroutput", {})
        self.recorder.add(output.get("recorded_calls", {}))
        self._complete = self._complete or output.get("all_recorded", False)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        noted = self.recorder.noted()
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput |= {"recorded_calls": noted, "all_recorded": self._complete}
            return
        if not self._complete or exitstatus != pytest.ExitCode.OK or self._config.option.collectonly:
            return
        if self._config.option.record_calls:
            RECORD.write_text(json.dumps({"model": members.VERSION, "calls": noted}, indent=1) + "\n")
            return
        self._missing = list(unmet(json.loads(RECORD.read_text())["calls"], noted))
        if self._missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._missing:
            terminalreporter.section("reference/recorded.json is out of date: run make reference")
            for line in self._missing:
                terminalreporter.line(line)


def unmet(claimed: dict[str, dict[str, list[str]]], noted: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    """The members that a record calls accepted or returned, but the tests have not sent or received."""
    for operation, kinds in claimed.items():
        for kind in ("accepted", "returned"):
            for path in sorted(set(kinds[kind]) - set(noted.get(operation, {}).get(kind, ()))):
                yield f"{operation}: {path} is not {kind} by any test"
