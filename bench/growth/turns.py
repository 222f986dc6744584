"""Comparing: prepared requests take turns, so other activity of the machine affects all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.load import Measurement
from bench.measuring import WARM_SECONDS, Prepared, Shape


def in_turns(targets: Mapping[str, Prepared], connections: int, shape: Shape) -> dict[str, Measurement]:
    """Run all in turns, after a run to warm up. Returns the medians, by the targets' names."""
    for target in targets.values():
        target.run(connections, WARM_SECONDS, shape.threads)
    runs: dict[str, list[Measurement]] = {name: [] for name in targets}
    for _ in range(shape.rounds):
        for name, target in targets.items():
            runs[name].append(target.run(connections, shape.seconds, shape.threads))
    return {name: median(measured) for name, measured in runs.items()}


def median(runs: Sequence[Measurement]) -> Measurement:
    """The median of each figure on its own."""
    return Measurement(
        answers=sum(run.answers for run in runs),
        per_second=statistics.median(run.per_second for run in runs),
        p50=statistics.median(run.p50 for run in runs),
        p99=statistics.median(run.p99 for run in runs),
        errors=sum(run.errors for run in runs),
    )


def table(compared: str, ratio: str) -> Iterator[str]:
    """The head of the table that has these `lines`: what is compared, and what the ratio is."""
    yield f"| row | connections | {compared} | answers/s | p50 ms | p99 ms | {ratio} |"
    yield "|---|---|---|---|---|---|---|"


def lines(
    row: str, targets: Mapping[str, Prepared], shape: Shape, figure: Callable[[Measurement], float]
) -> Iterator[str]:
    """A line for each target at each number of connections, with the ratio of a figure to the first target's."""
    for connections in shape.connections:
        runs = in_turns(targets, connections, shape)
        first, *_ = runs.values()
        for name, run in runs.items():
            yield (
                f"| {row} | {connections} | {name} | {run.per_second:,.0f} | {run.p50:.3f} | {run.p99:.2f} "
                f"| {figure(run) / figure(first):.2f} |"
            )
