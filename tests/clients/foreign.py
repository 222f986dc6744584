"""Programs in other languages that use their own client of DynamoDB, and how each is installed and run.

A program lives in a folder here, beside the lock file of its dependencies. The folder is copied to `.cache/clients`,
and the dependencies are installed there once, until a file of the folder changes. The program takes the names of the
cases to run, and prints a JSON line for each: `{"case": "items", "failure": null}`. It finds the server and its
credentials in the environment variables that every AWS SDK reads.

A program of DAX takes no cases. It is a client that is asked through its input (`foreign_dax.py`), so that all of them
are asked the same.

Another client is another `Foreign` in `PROGRAMS` and a folder. One that needs a process beside it (a browser, a
database) has a test module of its own here, with a fixture that starts that process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from testing.jedlik_process import Server

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "clients"
INSTALL_SECONDS = 600
RUN_SECONDS = 300


@dataclass(frozen=True)
class Foreign:
    """A program in another language."""

    name: str
    """The folder of its source."""
    tools: tuple[str, ...]
    """The commands that it needs; without them its tests are skipped."""
    install: tuple[str, ...]
    """Installs its dependencies from their registry, run in its folder. If that fails, the tests are skipped."""
    build: tuple[str, ...] | None
    """The command that compiles it. It must not fail."""
    run: tuple[str, ...]
    """The command to which the names of cases are added."""

    def installed(self) -> Path:
        """Return the folder where it can run. Skips the test if it cannot be installed."""
        for tool in self.tools:
            if shutil.which(tool) is None:
                pytest.skip(f"{self.name} needs {tool}, which is not installed")
        source = HERE / self.name
        files = sorted(path for path in source.rglob("*") if path.is_file())
        state = hashlib.sha256(b"".join(b"%s\0%s" % (path.name.encode(), path.read_bytes()) for path in files))
        folder = CACHE / self.name
        stamp = folder / "installed"
        if stamp.exists() and stamp.read_text() == state.hexdigest():
            return folder
        stamp.unlink(missing_ok=True)
        shutil.copytree(source, folder, dirs_exist_ok=True)
        brought = _run(self.install, folder, dict(os.environ), INSTALL_SECONDS)
        if brought.returncode != 0:
            pytest.skip(f"{' '.join(self.install)} failed: {(brought.stdout + brought.stderr)[-1000:]}")
        if self.build is not None:
            built = _run(self.build, folder, dict(os.environ), INSTALL_SECONDS)
            assert built.returncode == 0, built.stdout + built.stderr
        stamp.write_text(state.hexdigest())
        return folder

    def failures(
        self, server: Server, cases: Iterable[str], secret_key: str | None = None, **variables: str
    ) -> dict[str, str | None]:
        """Run cases against the server, with more environment variables. Maps each to its failure, or to None."""
        environment = _environment(server, secret_key, variables)
        ended = _run((*self.run, *cases), self.installed(), environment, RUN_SECONDS)
        lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
        assert ended.returncode == 0, f"{self.name} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
        return {line["case"]: line["failure"] for line in lines}

    def started(self, server: Server, errors: IO[str], **variables: str) -> subprocess.Popen[str]:
        """Start it beside the server, for a test that talks with it through its input and output."""
        return subprocess.Popen(
            self.run,
            cwd=self.installed(),
            env=_environment(server, None, variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def _environment(server: Server, secret_key: str | None, variables: Mapping[str, str]) -> dict[str, str]:
    """The server and its credentials, as every AWS SDK finds them."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key or server.secret_key,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **variables,
    }


def _run(
    command: tuple[str, ...], folder: Path, environment: dict[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


PROGRAMS = (
    Foreign(
        "javascript",
        tools=("node", "npm"),
        install=("npm", "ci", "--no-audit", "--no-fund"),
        build=None,
        run=("node", "cases.mjs"),
    ),
    Foreign(
        "java",
        tools=("java", "javac", "mvn"),
        install=("mvn", "-q", "-B", "dependency:copy-dependencies"),
        build=("mvn", "-q", "-B", "compile"),
        run=("java", "-cp", "target/classes:target/dependency/*", "Cases"),
    ),
    Foreign(
        "go",
        tools=("go",),
        install=("go", "mod", "download"),
        build=("go", "build", "-o", "cases", "."),
        run=("./cases",),
    ),
)
"""Every program. Each has every case."""

DAX_JAVASCRIPT = Foreign(
    "dax_javascript",
    tools=("node", "npm"),
    install=("npm", "ci", "--no-audit", "--no-fund"),
    build=None,
    run=("node", "client.mjs"),
)
DAX_PROGRAMS = (
    DAX_JAVASCRIPT,
    Foreign(
        "dax_javascript_v2",
        tools=("node", "npm"),
        install=("npm", "ci", "--no-audit", "--no-fund"),
        build=None,
        run=("node", "client.cjs"),
    ),
    Foreign(
        "dax_java",
        tools=("java", "javac", "mvn"),
        install=("mvn", "-q", "-B", "dependency:copy-dependencies"),
        build=("mvn", "-q", "-B", "compile"),
        run=("java", "-cp", "target/classes:target/dependency/*", "Client"),
    ),
    Foreign(
        "dax_go",
        tools=("go",),
        install=("go", "mod", "download"),
        build=("go", "build", "-o", "client", "."),
        run=("./client",),
    ),
)
"""The programs that use DAX's clients. Each asks what its input has, in DynamoDB's JSON (`foreign_dax.py`)."""

KMS_PROGRAMS = (
    Foreign(
        "kms_javascript",
        tools=("node", "npm"),
        install=("npm", "ci", "--no-audit", "--no-fund"),
        build=None,
        run=("node", "cases.mjs"),
    ),
    Foreign(
        "kms_java",
        tools=("java", "javac", "mvn"),
        install=("mvn", "-q", "-B", "dependency:copy-dependencies"),
        build=("mvn", "-q", "-B", "compile"),
        run=("java", "-cp", "target/classes:target/dependency/*", "Cases"),
    ),
)
"""The programs that use KMS. Each has every case of KMS."""

KMS_LIBRARIES = Foreign(
    "kms_python",
    tools=("python3", "sh"),
    install=("sh", "-c", "python3 -m venv libraries && libraries/bin/pip install -q -r requirements.txt"),
    build=None,
    run=("libraries/bin/python", "cases.py"),
)
"""AWS's encryption libraries for Python, in an environment of their own: nothing else needs them."""
