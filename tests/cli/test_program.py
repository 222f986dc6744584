"""Common to all commands: errors of one form, whole summaries, and a quiet end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click import Context

from jedlik.cli import COMMANDS, main
from testing.dynamodb.definitions import create
from testing.jedlik_process import Server, run_jedlik


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--nonsense"], 2, "jedlik: No such option '--nonsense'.\nTry `jedlik --help`.\n"),
        (["nonsense"], 2, "jedlik: No such command 'nonsense'.\nTry `jedlik --help`.\n"),
        (
            ["credentials", "delete"],
            2,
            "jedlik: Missing argument 'ACCESS_KEY'.\nTry `jedlik credentials delete --help`.\n",
        ),
        (
            ["check", "--json", "--recover-damaged"],
            2,
            "jedlik: --recover-damaged, --pages and --json cannot be given together\nTry `jedlik check --help`.\n",
        ),
    ],
)
def test_errors_have_one_form(words: list[str], code: int, said: str) -> None:
    ended = run_jedlik(*words)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", said)


INTERRUPTED_IMPORT = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
module, folder = sys.argv[1:]
sys.argv[1:] = ["serve", "--data-dir", folder]
runpy.run_module("jedlik", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["click", "jedlik.cli.serve_command", "jedlik.process.workers", "uvloop"])
def test_an_interrupt_ends_a_start_quietly(module: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", INTERRUPTED_IMPORT, module, str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.strip(), ended.stdout) == (130, "", "")


def test_summaries_are_whole() -> None:
    shown = " ".join(run_jedlik("--help").stdout.split())
    for name in COMMANDS:
        command = main.get_command(Context(main), name)
        assert command is not None
        assert command.help is not None
        sentence = " ".join(command.help.split("\n\n")[0].split()).split(". ")[0].removesuffix(".")
        assert f"{name} {sentence}." in shown


LOADED = """
import gc, sys
from jedlik.cli import main
import click
main.get_command(click.Context(main), "serve")
print(gc.isenabled(), gc.get_freeze_count() > 0, *(name for name in sys.modules if name.startswith("jedlik.cli.")))
"""


def test_a_command_loads_no_other_and_then_the_garbage_collector_works() -> None:
    ended = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    modules = {f"jedlik.cli.{name}" for name in ("program", "serve_command", "setting_options")}
    collects, has_frozen, *loaded = ended.stdout.split()
    assert (collects, has_frozen, set(loaded)) == ("True", "True", modules)


@pytest.mark.parametrize("command", [["stats"], ["stats", "--json"], ["check"], ["check", "--json"]])
def test_a_command_ends_quietly_when_the_reader_of_its_report_goes(
    command: list[str], start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    for number in range(3):
        create(server.client(), TableName=f"songs-{number}")
    server.stop()
    words = [sys.executable, "-m", "jedlik", *command, "--data-dir", str(tmp_path / "data")]
    reporting = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert reporting.stdout is not None
    reporting.stdout.close()
    assert reporting.stderr is not None
    assert reporting.stderr.read() == ""
    assert reporting.wait() == 141


def test_completion_knows_the_commands() -> None:
    completed = run_jedlik(_JEDLIK_COMPLETE="bash_complete", COMP_WORDS="jedlik c", COMP_CWORD="1")
    assert completed.stdout.split() == ["plain,credentials", "plain,check", "plain,compact", "plain,copy"]


THE_INTERPRETERS_END = 77


def test_a_command_that_has_used_object_stores_does_not_wait_for_the_interpreters_end(tmp_path: Path) -> None:
    """The threads of obstore may abort the process there."""
    (tmp_path / "sitecustomize.py").write_text(f"import atexit, os; atexit.register(os._exit, {THE_INTERPRETERS_END})")
    path = {"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))}
    assert run_jedlik("--version", **path).returncode == THE_INTERPRETERS_END
    place = tmp_path / "kept"
    place.mkdir()
    listed = run_jedlik("backups", "list", "--backups", str(place), **path)
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "")
    verified = run_jedlik("backups", "verify", "arn:other", "--backups", str(place), **path)
    assert (verified.returncode, verified.stdout) == (1, f"arn:other: there is no such backup in {place.as_uri()}\n")
