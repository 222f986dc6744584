"""The one way to start a real Jedlik for a test.

`server` is shared by the whole run (in memory, one worker, with jobs that a test can hold). `start_server(**options)`
starts another with any options of `jedlik serve`, and `start_shared_server(**options)` one for all tests of a module.
What a server logged is shown with the test that failed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from testing import prepared_program, recorded_calls
from testing.dynamodb.replicated_tables import ELSEWHERE, HERE, THERE
from testing.jedlik_process import Server

# Slow is the machine, not the test: no property waits for the clock.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# The model checker's own asserts show what they compare, as those of tests do.
pytest.register_assert_rewrite("testing.stateful.model_checker", "testing.dax.twins")

CLIENTS = Path(__file__).parent / "clients"
"""Tests with clients in other languages: they run when they are named (`make test-clients`)."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-calls", action="store_true", help="write reference/recorded.json of this run")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        prepared_program.prepare()  # Not in the process that only gives tests to others.
    config.pluginmanager.register(recorded_calls.Plugin(config))


LOG_SHOWN = 6000
"""Characters of a server's log shown with a failed test."""

_started: list[Server] = []


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole run: in memory, one worker, nothing verified.

    JEDLIK_TEST_ENDPOINT names a server that runs already: `testing.corpus` records the tests' requests to it.
    """
    folder = tmp_path_factory.mktemp("server")
    endpoint = os.environ.get("JEDLIK_TEST_ENDPOINT")
    if endpoint is not None:
        yield Server.running_at(endpoint, folder / "log")
        return
    running = Server(folder / "log", holdable_jobs=True, in_memory=True, data_dir=folder / "data", seal_tables=True)
    _started.append(running)
    yield running
    running.kill()
    _started.remove(running)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with their own options, in the test's own folder; each ends with the test."""
    yield from _starting(lambda: tmp_path)


@pytest.fixture(scope="module")
def start_shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers for fixtures that all tests of a module share, each in a folder of its own. They end with the
    module, also where such a fixture fails after it has started one."""
    yield from _starting(lambda: tmp_path_factory.mktemp("server"))


def _starting(folder_of_next: Callable[[], Path]) -> Iterator[Callable[..., Server]]:
    mine: list[Server] = []

    def start(environment: dict[str, str] | None = None, holdable_jobs: bool = False, **options: object) -> Server:
        folder = folder_of_next()
        options.setdefault("data_dir", folder / "data")
        running = Server(folder / f"server-{len(mine)}.log", environment, holdable_jobs, **options)
        mine.append(running)
        _started.append(running)
        return running

    yield start
    for running in mine:
        running.kill()
        _started.remove(running)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A test's name for an argument of unreadable bytes.

    Compressed bytes contain the time, and the processes that share the tests must have the same names for them.
    """
    return argname if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()) else None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the clients in other languages unless the command line asks for them."""
    if collection_path != CLIENTS:
        return None
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(CLIENTS) for path in named) else True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the running servers logged beside a failed test."""
    report = yield
    if report.failed:
        for running in _started:
            report.sections.append((f"log of {running.url}", running.log.read_text()[-LOG_SHOWN:]))
    return report


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Captures the log, also where a fuzz harness has been imported, which keeps Jedlik's log for itself."""
    log = logging.getLogger("jedlik")
    propagated, level = log.propagate, log.level
    log.propagate = True
    log.setLevel(logging.NOTSET)
    yield caplog
    log.propagate = propagated
    log.setLevel(level)


@pytest.fixture(scope="session")
def here(server: Server) -> Any:
    """A client of the region in which tests of global tables begin."""
    return server.client(region=HERE)


@pytest.fixture(scope="session")
def there(server: Server) -> Any:
    """A client of a second region, of the same server."""
    return server.client(region=THERE)


@pytest.fixture(scope="session")
def elsewhere(server: Server) -> Any:
    """A client of a third."""
    return server.client(region=ELSEWHERE)
