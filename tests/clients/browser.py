"""A browser for tests of the console: the system's Chromium, driven by Playwright.

Where there is no Chromium and the tests may install packages, Debian's is installed. The console is built first, unless
it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 900


@cache
def chromium() -> str:
    """The command of a Chromium; the test is skipped where none can be had."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        pytest.skip("there is no Chromium here, and it may not be installed")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in ([apt, "update", "-qq"], [apt, "install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        done = subprocess.run(words, env=quiet, capture_output=True, text=True, check=False, timeout=SECONDS)
        if done.returncode != 0:
            pytest.skip(f"Chromium cannot be installed: {(done.stdout + done.stderr)[-500:]}")
    return shutil.which("chromium") or pytest.skip("Debian's package has no chromium")


@cache
def console() -> None:
    """Build the console; the test is skipped where what it is made of cannot be had."""
    words = [sys.executable, str(ROOT / "console" / "build.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode != 0:
        said = done.stdout + done.stderr
        if "cannot" in said:
            pytest.skip(said[-500:])
        raise AssertionError(said)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        # Root may not use the sandbox, and the only pages shown are ours.
        running = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield running
        finally:
            running.close()
