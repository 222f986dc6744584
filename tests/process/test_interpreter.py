"""The log names the interpreter, and whether it was built for speed."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Callable

import pytest

from jedlik.process import interpreter
from testing.jedlik_process import Server, eventually


@pytest.mark.parametrize(
    ("arguments", "prefix", "is_optimized"),
    [
        ("'--prefix=/opt' '--enable-optimizations' '--with-lto'", "/opt", True),
        ("'--prefix=/opt'", "/opt", False),
        (None, "/opt", False),
        ("'--prefix=/usr'", "/usr", True),
    ],
)
def test_it_is_optimized_if_its_configuration_or_its_place_shows_it(
    arguments: str | None, prefix: str, is_optimized: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: {"CONFIG_ARGS": arguments}[name])
    monkeypatch.setattr(sys, "base_prefix", prefix)
    assert interpreter.is_optimized() is is_optimized
    built = "optimized" if is_optimized else "built without --enable-optimizations"
    assert interpreter.described() == f"{platform.python_implementation()} {platform.python_version()}, {built}"


def test_the_log_names_it(start_server: Callable[..., Server]) -> None:
    server = start_server()
    eventually(lambda: any(line["message"] == "listening" for line in server.log_lines()))
    [line] = [line for line in server.log_lines() if line["message"] == "listening"]
    assert line["python"] == interpreter.described()
