"""The benchmark sends the requests of its rows, and its ratios are those of alternating runs.

`make bench` finds the figures; here each row is asked once, of a small Jedlik.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from bench import dax_hits
from bench.backups import Work
from bench.goals import Goal
from bench.load import Measurement, Unusable
from bench.measuring import Filled, Prepared
from bench.peers import AS_IT_COMES, JEDLIK, OURS, RIVALS, Peer
from bench.process import ENDING, Running, unwind_when_asked
from bench.report import report
from bench.results import Results, Spread
from bench.rows import Row, rows
from bench.tables import INDEXED, MAIN, RECORDED, Table, table_of
from jedlik.dynamodb.model.values import item_size
from jedlik.process import interpreter
from testing.jedlik_process import children, eventually

FEW = 1_000
"""Items, where a row does not need more."""


@pytest.fixture(scope="module")
def jedlik_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(JEDLIK, tmp_path_factory.mktemp("bench"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def filled() -> Filled:
    return Filled()


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_jedlik_answers_a_row_rightly(row: Row, jedlik_server: Running, filled: Filled) -> None:
    if row.table is not RECORDED:
        row = replace(row, table=replace(row.table, items=min(FEW, row.table.items)))
    filled.fill(jedlik_server, row.table)
    client = jedlik_server.client()
    body = next(row.bodies(row.table, client.call, Random(0)))
    answer = client.call(row.operation, body)
    assert row.right(answer)
    assert row.amount(answer) > 0
    client.close()


@pytest.mark.parametrize("table", [MAIN, INDEXED, table_of(4_096), table_of(102_400)], ids=lambda table: table.name)
def test_an_item_has_the_size_that_its_table_gives(table: Table) -> None:
    assert {item_size(table.item(number, version=2)) for number in (0, table.items - 1)} == {table.item_bytes}


WRK = """#!/bin/sh
echo $$ > "$HELD"
exec sleep 600
"""
"""In wrk's place: it does not end by itself."""
OF_LARGE_ITEMS = ["--sizes", "400000", "--rows", "GetItem of 400000 B", "--connections", "1"]
"""A row that is soon prepared."""
BENCH = "import sys, bench.__main__ as b, pathlib; b.FOLDER = pathlib.Path(sys.argv.pop(1)); sys.exit(b.main())"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_benchmark_that_is_ended_leaves_no_process(number: int, code: int, tmp_path: Path) -> None:
    held, programs = tmp_path / "held", tmp_path / "bin"
    programs.mkdir()
    (programs / "wrk").write_text(WRK)
    (programs / "wrk").chmod(0o755)
    environment = os.environ | {"HELD": str(held), "PATH": f"{programs}:{os.environ['PATH']}"}
    words = [sys.executable, "-c", BENCH, str(tmp_path / "servers"), "--servers", "--starts", "1", *OF_LARGE_ITEMS]
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as running:
        try:
            eventually(lambda: running.poll() is not None or (held.exists() and held.read_text() != ""))
            started = descendants(running.pid)
            assert int(held.read_text()) in started
            assert len(started) >= 1 + len(OURS) * 2  # wrk; of each server its parent and a worker.
        finally:
            running.send_signal(number)
        assert running.wait(60) == code
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()
    eventually(lambda: not any(Path(f"/proc/{one}").exists() for one in started))
    assert (tmp_path / "servers").exists() is (number == signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    started = children(process)
    return [*started, *(one for child in started for one in descendants(child))]


@pytest.mark.parametrize("number", ENDING)
def test_signals_that_end_a_benchmark_unwind_it(number: signal.Signals) -> None:
    before = {one: signal.getsignal(one) for one in ENDING}
    try:
        unwind_when_asked()
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(number)
        assert ended.value.code == 128 + number
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def measured(per_second: float) -> Measurement:
    return Measurement(round(per_second), per_second, p50=1.0, p99=2.0, errors=0)


def test_a_run_goes_on_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def run(url: str, requests: Path, connections: int, threads: int, seconds: int, first: int) -> Measurement:
        sent.append(first)
        return measured(100.0)

    requests = Prepared.__new__(Prepared)
    requests.server, requests.path = SimpleNamespace(url=""), Path()  # type: ignore[assignment]
    requests._amount, requests._sent = 1.0, 0
    monkeypatch.setattr(requests, "_renew", lambda: None)
    monkeypatch.setattr("bench.load.run", run)
    for _ in range(3):
        requests.run(connections=16, seconds=1, threads=1)
    assert sent == [0, 116, 232]


def results_of(ours: list[float], theirs: list[float], peer: Peer) -> Results:
    results = Results()
    results.runs["PutItem", 16, JEDLIK.name] = [measured(rate) for rate in ours]
    results.runs["PutItem", 16, peer.name] = [measured(rate) for rate in theirs]
    return results


def test_ratios_are_between_alternating_runs() -> None:
    results = results_of([200, 300, 100], [100, 100, 100], RIVALS[0])
    assert results.ahead("PutItem", 16, RIVALS[0].name) == Spread(median=2.0, least=1.0, most=3.0)


@pytest.mark.parametrize(
    ("count", "least", "most"),
    [(1, 1, 1), (5, 1, 5), (6, 1, 6), (8, 1, 8), (9, 2, 8), (20, 6, 15), (21, 6, 16), (40, 14, 27)],
)
def test_an_interval_has_the_median_of_more_figures_nineteen_times_in_twenty(count: int, least: int, most: int) -> None:
    """Source: a table of order statistics for the confidence interval of a median."""
    spread = Spread.of(range(count, 0, -1))
    assert (spread.least, spread.most) == (least, most)
    assert spread.median == (count + 1) / 2


def test_jedlik_as_it_comes_is_compared_first_and_then_with_one_worker() -> None:
    rival = replace(RIVALS[0], version=lambda: "1")
    results = results_of([100, 100, 100], [200, 200, 100], rival)
    results.runs["PutItem", 16, AS_IT_COMES.name] = [measured(rate) for rate in (400, 500, 600)]
    row = next(row for row in rows() if row.name == "PutItem")
    peers = [*(replace(peer, version=lambda: "1") for peer in OURS), rival]
    lines = report(results, peers, [row], "python -m bench", "3 runs").splitlines()
    first, second = (lines.index(f"## {title}") for title in (AS_IT_COMES.name, f"{JEDLIK.name}, one worker"))
    assert first < second
    assert "| PutItem | 16 | 500 (400 to 600) /s | 1.000 | 2.00 | 2.50 (2.00 to 6.00); 2.00 |" in lines[first:second]
    assert f"{AS_IT_COMES.name} is ahead everywhere." in lines[first:second]
    assert "| PutItem | 16 | 100 (100 to 100) /s | 1.000 | 2.00 | 0.50 (0.50 to 1.00); 2.00 |" in lines[second:]


def test_jedlik_as_it_comes_answers(tmp_path: Path) -> None:
    running = Running(AS_IT_COMES, tmp_path)
    try:
        assert running.client().call("ListTables", {}) == {"TableNames": []}
    finally:
        running.stop()


def test_the_report_names_the_interpreter() -> None:
    assert interpreter.described() in JEDLIK.version()


def test_the_ratio_to_a_server_that_answered_nothing_is_infinite() -> None:
    results = results_of([100], [0], RIVALS[0])
    assert results.ahead("PutItem", 16, RIVALS[0].name) == Spread(inf, inf, inf)


def test_the_report_names_slower_rows_and_absent_and_refused_servers() -> None:
    faster, refusing, absent = RIVALS[0], RIVALS[1], RIVALS[3]
    results = results_of([100, 100, 100], [200, 200, 100], faster)
    results.refuse("PutItem", refusing.name, "PutItem: 400\nno such operation")
    results.absent[absent.name] = "it could not be installed"
    peers = [replace(peer, version=lambda: "1") for peer in (JEDLIK, faster, refusing)]
    row = next(row for row in rows() if row.name == "PutItem")
    lines = report(results, peers, [row], "python -m bench", "3 runs").splitlines()
    assert f"- {absent.name} is absent: it could not be installed" in lines
    assert "| PutItem | 16 | 100 (100 to 100) /s | 1.000 | 2.00 | 0.50 (0.50 to 1.00); 2.00 | refused |" in lines
    assert f"- {refusing.name} refused PutItem: PutItem: 400 no such operation" in lines
    assert f"- PutItem at 16: 0.50 (0.50 to 1.00) of {faster.name}" in lines


@pytest.mark.parametrize(
    ("goal", "line"),
    [
        (Goal("a", lambda _: 0.3, at_least=0.22), "| a | at least 0.22 | 0.30 | yes |"),
        (Goal("a", lambda _: 0.2, at_least=0.22), "| a | at least 0.22 | 0.20 | no |"),
        (Goal("a", lambda _: 5.1, at_most=5), "| a | at most 5 | 5.10 | no |"),
        (Goal("a", lambda _: None, at_most=5), None),
    ],
)
def test_a_goal_is_reached_within_its_bound(goal: Goal, line: str | None) -> None:
    assert goal.line(Results()) == line


def test_a_server_that_cannot_start_is_reported_with_its_output(tmp_path_factory: pytest.TempPathFactory) -> None:
    broken = replace(JEDLIK, command=lambda *_: ["sh", "-c", "echo no disk; exit 1"])
    with pytest.raises(Unusable, match=r"it did not start: .*\nno disk"):
        Running(broken, tmp_path_factory.mktemp("broken"))


def test_hits_of_dax_are_measured_beside_the_table_and_an_echo() -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    one, many = dax_hits.measured(rounds=1).split("\n\n")
    for table, connections in ((one, 1), (many, 64)):
        head, _, *lines = table.splitlines()
        assert head.startswith(f"| connections: {connections} | p50, µs | p99, µs |")
        assert [line.split(" | ")[0].strip("| ") for line in lines] == [
            "a hit of DAX",
            "an echo of 92 bytes",
            "GetItem over HTTP",
        ]
        assert all(float(cell.replace(",", "")) > 0 for line in lines for cell in line.strip("| ").split(" | ")[1:])


def test_hits_of_dax_are_left_out_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert dax_hits.section(rounds=1) == f"- DAX hit is absent: {dax_hits.NO_COMPILER}"


def test_backups_are_measured_from_their_request_to_their_end(jedlik_server: Running, filled: Filled) -> None:
    table = replace(MAIN, name="backed-up", items=FEW)
    filled.fill(jedlik_server, table)
    work = Work(jedlik_server)
    arn = work.back_up(table.name)
    assert work.until(lambda: work.is_made(arn)) > 0
    name = work.restore(arn)
    assert work.until(lambda: work.is_restored(name)) > 0
    assert work.client.call("Scan", {"TableName": name, "Select": "COUNT"})["Count"] == FEW
    work.away(arn, name)
