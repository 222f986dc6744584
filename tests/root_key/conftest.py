"""A data folder with secrets of all kinds, and a copy of it for each test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testing.jedlik_process import Server

STATEMENT = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
TRUST = json.dumps({"Statement": STATEMENT, "Version": "2012-10-17"})
ROLE = "arn:aws:iam::000000000000:role/reader"


def given(keys: dict[str, Any]) -> dict[str, str]:
    """An access key of an answer, as options of a client."""
    members = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey"}
    more = {"aws_session_token": "SessionToken"} if "SessionToken" in keys else {}
    return {name: keys[member] for name, member in (members | more).items()}


@dataclass
class Filled:
    """A data folder with keys of all kinds."""

    folder: Path
    root: dict[str, str]
    user: dict[str, str]
    session: dict[str, str]

    @property
    def secrets(self) -> list[str]:
        """Texts that must not be in the folder."""
        return [keys[name] for keys in (self.root, self.user) for name in keys if name != "aws_access_key_id"]

    def can_all_sign_in(self, server: Server) -> bool:
        """Whether a server knows every key."""
        clients = [server.client("sts", **keys) for keys in (self.root, self.user, self.session)]
        arns = [client.get_caller_identity()["Arn"] for client in clients]
        return [arn.rpartition(":")[2].rpartition("/")[0] for arn in arns] == ["", "user", "assumed-role/reader"]

    def new_session(self, server: Server) -> dict[str, str]:
        """Another session of the role. The account itself may assume no role, as on AWS; a user may."""
        client = server.client("sts", **self.user)
        return given(client.assume_role(RoleArn=ROLE, RoleSessionName="once")["Credentials"])


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """One that no test changes."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    server = Server(folder.with_name("log"), data_dir=folder, auth="on")
    iam = server.client("iam")
    iam.create_user(UserName="ann")
    iam.attach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.create_role(RoleName="reader", AssumeRolePolicyDocument=TRUST)
    user = given(iam.create_access_key(UserName="ann")["AccessKey"])
    root = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
    made = Filled(folder, root, user, {})
    made.session = made.new_session(server)
    assert server.stop() == 0
    return made


@pytest.fixture
def copied(filled: Filled, tmp_path: Path) -> Filled:
    """The folder, with its root key beside it, in a test's own place."""
    folder = tmp_path / "data"
    shutil.copytree(filled.folder, folder)
    shutil.copy2(f"{filled.folder}.root-key", f"{folder}.root-key")
    return Filled(folder, filled.root, filled.user, filled.session)


Serve = Callable[[Filled], Server]


@pytest.fixture
def serve(start_server: Callable[..., Server]) -> Serve:
    """Serves a folder, with signatures verified. That makes one more access key in it."""
    return lambda filled: start_server(data_dir=filled.folder, auth="on")
