"""Random sequences of every data operation, compared with a model of DynamoDB.

The sequences are the same in every run. With `JEDLIK_STATEFUL_EXAMPLES` there are that many sequences, from the seed
`JEDLIK_STATEFUL_SEED`, or from a random one, which is printed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from jedlik.dynamodb.items import expiring
from jedlik.dynamodb.tables import backfill, purge
from testing.jedlik_process import Server
from testing.stateful.model_checker import Checker, InProcessChecker, WireChecker
from testing.stateful.services import OnTheWire

EXAMPLES = int(os.environ.get("JEDLIK_STATEFUL_EXAMPLES", "0"))
SEED = int(os.environ.get("JEDLIK_STATEFUL_SEED", random.randrange(1 << 32) if EXAMPLES else 1))


def check(machine: type[Checker], examples: int, steps: int) -> None:
    """Run a state machine, this many times with this many steps."""
    print(f"JEDLIK_STATEFUL_SEED={SEED}")
    run_state_machine_as_test(
        seed(SEED)(machine),
        settings=settings(
            max_examples=EXAMPLES or examples,
            stateful_step_count=steps,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(0 if EXAMPLES else 600)
def test_handlers_answer_as_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    # So that other things happen in between.
    monkeypatch.setattr(backfill, "STEP_ITEMS", 2)
    monkeypatch.setattr(expiring, "STEP_ITEMS", 2)
    monkeypatch.setattr(purge, "STEP_ROWS", 2)
    check(InProcessChecker, examples=120, steps=50)


@pytest.mark.timeout(0 if EXAMPLES else 600)
def test_a_server_answers_as_the_model(start_server: Callable[..., Server]) -> None:
    service = OnTheWire(start_server)

    class ServerChecker(WireChecker):
        def __init__(self) -> None:
            super().__init__()
            self.service = service

    check(ServerChecker, examples=8, steps=50)
