"""The demonstration of three server processes, each part of it for a short time."""

from __future__ import annotations

from pathlib import Path

from testing.global_tables.three_regions import demonstrate

LATENCY_MILLISECONDS = 30_000
"""Global tables promise a second. A busy machine takes longer; a region that is not asked, for ever."""


def test_regions_agree_after_a_kill_and_a_cut(tmp_path: Path) -> None:
    assert demonstrate(tmp_path, seconds=3, rate=30, say=print) < LATENCY_MILLISECONDS
