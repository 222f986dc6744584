"""The files for containers, systemd, Kubernetes and hosted CI agree with each other and with the server."""

from __future__ import annotations

import configparser
import os
import re
import secrets
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from jedlik import __version__
from jedlik.config import CONFIG_VARIABLE, Settings
from jedlik.settings_file import check_variables, from_file
from testing.jedlik_process import Server, run_jedlik
from testing.source_tree import ROOT

DEPLOY = ROOT / "deploy"
SECRET = secrets.token_hex(32)
"""A root key."""
SECONDS_TO_STOP = Settings().stop_timeout + 5
"""After this the server kills the remaining processes."""
COMPOSE = {name: yaml.safe_load((DEPLOY / name).read_text()) for name in ("compose.yaml", "compose.test.yaml")}
SERVICE, STATEFUL_SET = yaml.safe_load_all((DEPLOY / "kubernetes" / "jedlik.yaml").read_text())
POD = STATEFUL_SET["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]


def image_environment() -> dict[str, str]:
    """The settings of Jedlik in the image."""
    return dict(re.findall(r"(JEDLIK_\w+)=(\S+)", (ROOT / "Containerfile").read_text()))


def compose_environment(name: str) -> dict[str, str]:
    """The environment of the server in a compose file."""
    given: dict[str, str] = COMPOSE[name]["services"]["jedlik"].get("environment", {})
    return image_environment() | given


def pod_environment() -> dict[str, str]:
    """The environment of the server in the pod."""
    given = {variable["name"]: variable.get("value", SECRET) for variable in CONTAINER["env"]}
    return image_environment() | given


@pytest.mark.parametrize(
    "environment",
    [*(compose_environment(name) for name in COMPOSE), pod_environment()],
    ids=[*COMPOSE, "kubernetes"],
)
def test_a_server_starts_with_its_settings(
    environment: dict[str, str], start_server: Callable[..., Server], tmp_path: Path
) -> None:
    check_variables(environment)
    key = tmp_path / "root-key"
    key.write_text(SECRET)
    key.chmod(0o600)
    environment = {name: str(key) if name == "JEDLIK_ROOT_KEY_FILE" else value for name, value in environment.items()}
    is_tested = "JEDLIK_ALLOW_UNAUTHENTICATED" in environment
    there = environment | {"JEDLIK_DATA_DIR": str(tmp_path / "data"), "JEDLIK_PORT": "0"}
    server = start_server(there, host=None, port=None, workers=1, data_dir=None, in_memory=is_tested)
    for host in ("localhost", "jedlik"):
        for path in ("healthz", "readyz"):
            answer = requests.get(f"{server.url}/{path}", headers={"Host": f"{host}:8000"}, timeout=60)
            assert answer.status_code == 200


def test_the_image_makes_no_root_key(tmp_path: Path) -> None:
    environment = image_environment() | {"JEDLIK_DATA_DIR": str(tmp_path / "data"), "JEDLIK_PORT": "0"}
    refused = run_jedlik("serve", **environment)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"jedlik: there is no root key in {tmp_path}/data.root-key, and none is made for a service or with "
        "root_key_make = false: make one with `jedlik init`, or name where it is (--root-key-file)\n"
    )
    assert not list(tmp_path.glob("*.root-key"))
    volumes = [volume.partition(":")[0] for volume in COMPOSE["compose.yaml"]["services"]["jedlik"]["volumes"]]
    assert volumes == ["data", "keys"]


def test_the_compose_file_for_tests_stores_nothing_and_admits_no_others(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    test = COMPOSE["compose.test.yaml"]["services"]["jedlik"]
    assert "--in-memory" in test["command"]
    assert test["ports"] == ["127.0.0.1:8000:8000"]
    environment = compose_environment("compose.test.yaml") | {"JEDLIK_DATA_DIR": str(tmp_path), "JEDLIK_PORT": "0"}
    server = start_server(environment, host=None, port=None, in_memory=True, data_dir=None)
    assert requests.get(server.url, headers={"Host": "page.example"}, timeout=60).status_code == 403


def test_every_deployment_waits_until_the_server_has_stopped() -> None:
    unit = unit_file()
    grace = [
        COMPOSE["compose.yaml"]["services"]["jedlik"]["stop_grace_period"].removesuffix("s"),
        POD["terminationGracePeriodSeconds"],
        unit["Service"]["TimeoutStopSec"],
    ]
    assert all(float(seconds) > SECONDS_TO_STOP for seconds in grace)


def test_the_pod_is_probed_where_the_server_answers_and_keeps_its_data_in_the_volume() -> None:
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert {probe["port"] for probe in probes.values()} <= ports.keys()
    assert str(ports["http"]) == image_environment()["JEDLIK_PORT"]
    mounted = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert pod_environment()["JEDLIK_DATA_DIR"].startswith(f"{mounted['data']}/")
    [claim] = STATEFUL_SET["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert SERVICE["spec"]["selector"] == STATEFUL_SET["spec"]["selector"]["matchLabels"]
    assert POD["enableServiceLinks"] is False
    assert CONTAINER["image"] == f"jedlik:{__version__}"


def test_the_pod_runs_as_the_user_of_the_image() -> None:
    [user] = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    context = POD["securityContext"]
    assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user


def unit_file() -> Any:
    """The systemd unit, as far as it is an INI file."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "systemd" / "jedlik.service")
    return unit


def test_the_unit_reads_the_installed_file_and_its_settings_exist(tmp_path: Path) -> None:
    environment = unit_file()["Service"]["Environment"]
    assert environment == f"{CONFIG_VARIABLE}=/etc/jedlik/jedlik.toml"
    text = (DEPLOY / "systemd" / "jedlik.toml").read_text()
    given = from_file(DEPLOY / "systemd" / "jedlik.toml")
    assert (given["auth"], given["data_dir"]) == ("on", f"/var/lib/{unit_file()['Service']['StateDirectory']}")
    everything = tmp_path / "jedlik.toml"
    everything.write_text(
        re.sub(r"^host = .*\n", "", text, flags=re.M).replace("# host", "host").replace("# tls", "tls")
    )
    assert Settings(**from_file(everything)).host == "0.0.0.0"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "jedlik.service"
    installed = (DEPLOY / "systemd" / "jedlik.service").read_text().replace("/opt/jedlik/bin/jedlik", sys.executable)
    unit.write_text(installed)
    ran = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False, env=os.environ
    )
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_hosted_ci_runs_targets_of_the_makefile_with_every_supported_version() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    makefile = (ROOT / "Makefile").read_text()
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    targets = set(re.findall(r"\bmake ([\w-]+)", "\n".join(steps)))
    assert targets == {"test", "test-clients", "dist", "fuzz", "torture"}
    assert all(f"\n{target}:" in makefile for target in targets)
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    promised = [one.rpartition(" ")[2] for one in classifiers if re.fullmatch(r".* :: 3\.\d+", one)]
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == promised
    nightly = {name for name, job in workflow["jobs"].items() if "schedule" in job.get("if", "")}
    assert nightly == {"fuzz", "torture"}


def test_the_table_of_upgrades_has_this_version() -> None:
    from jedlik.regions.store_format import FORMAT, SEALED_FORMAT
    from jedlik.storage.lmdb.environment import FORMAT as STORAGE_FORMAT

    table = (ROOT / "docs" / "operating" / "upgrades.md").read_text()
    formats = f"{FORMAT}, or {SEALED_FORMAT} if tables are sealed"
    assert f"\n| {__version__} | {formats} | {STORAGE_FORMAT.decode()} |" in table
