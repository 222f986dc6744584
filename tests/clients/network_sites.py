"""Sites with networks of their own, on this machine: network namespaces that see nothing of each other but the links.

They are in a user namespace, so nothing of the machine is changed and no privileges are needed, and in a process
namespace that ends with its first process, so nothing is left behind.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

SECONDS = 60.0
_NEW = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_SLEEP = ("sleep", "3600")


class Network:
    """A network that sites are linked to, like the internet."""

    def __init__(self) -> None:
        """Skips the test where no namespaces can be made."""
        self._holder = subprocess.Popen([*_NEW, *_SLEEP], stderr=subprocess.PIPE, text=True)
        self._site_holders: list[subprocess.Popen[bytes]] = []
        found = _sleeper(self._holder.pid)
        if found is None:
            self._holder.kill()
            _, reason = self._holder.communicate()
            pytest.skip(f"no network namespaces can be made here: {reason.strip()}")
        self._pid = found
        made = run(self._pid, "sh", "-c", "ip link set lo up && ip link add net type bridge && ip link set net up")
        if made.returncode != 0:
            self.end()
            pytest.skip(f"no networks can be made here: {made.stderr.strip()}")
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            self.end()
            pytest.skip("there is no /dev/net/tun, so no tunnel can be made")

    def site(self, name: str, address: str) -> Site:
        """A new site that is linked to the network, with an address of it."""
        holder = subprocess.Popen(
            [*_inside(self._pid), "unshare", "--net", "--mount", "--fork", "--kill-child", *_SLEEP]
        )
        self._site_holders.append(holder)
        pid = _sleeper(holder.pid)
        assert pid is not None
        [*_, own] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid:")]
        link = f"to-{name}"
        check(
            run(self._pid, "ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", own.split()[-1]),
            run(self._pid, "ip", "link", "set", link, "master", "net", "up"),
        )
        site = Site(pid)
        check(
            site.run("sh", "-c", "mount -t tmpfs tmpfs /run && mkdir -p /run/wireguard && ip link set lo up"),
            site.run("ip", "address", "add", address, "dev", "eth0"),
            site.run("ip", "link", "set", "eth0", "up"),
        )
        return site

    def end(self) -> None:
        """End everything that runs there."""
        self._holder.kill()
        self._holder.wait()
        for holder in self._site_holders:
            holder.wait(SECONDS)


class Site:
    """One site."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(
        self, *command: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end."""
        return run(self._pid, *command, folder=folder, environment=environment)

    def start(self, *command: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a command there; it ends with the network."""
        return subprocess.Popen([*_inside(self._pid), *command], env=environment)


def check(*ended: subprocess.CompletedProcess[str]) -> None:
    """Fail if a command has failed."""
    for one in ended:
        assert one.returncode == 0, f"{one.args[-1]}: {one.stdout}{one.stderr}"


def run(
    pid: int, *command: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_inside(pid, folder), *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def _inside(pid: int, folder: Path | None = None) -> tuple[str, ...]:
    where = f"--wdns={folder or '/'}"
    return ("nsenter", "--target", str(pid), "--user", "--net", "--mount", "--pid", "--preserve-credentials", where)


def _sleeper(pid: int) -> int | None:
    """The process below `pid` that holds namespaces, once it is there; None if `pid` ends instead."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        at: int | None = pid
        while at is not None:
            try:
                words = Path(f"/proc/{at}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                below = Path(f"/proc/{at}/task/{at}/children").read_text().split()
                state = Path(f"/proc/{at}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return None
            if state == "Z":
                return None
            if words == [word.encode() for word in _SLEEP]:
                return at
            at = int(below[0]) if below else None
        time.sleep(0.02)
    raise AssertionError(f"no namespaces were made in {SECONDS:g} s")
