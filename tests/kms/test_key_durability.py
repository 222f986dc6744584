"""Keys after kills, between workers, and in the files of a store."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from jedlik import root_key
from jedlik.kms import key_rows
from jedlik.regions.region import Region
from jedlik.root_key import RootKey, new_key
from testing import regions
from testing.identities import refusal
from testing.jedlik_process import Server, run_jedlik
from testing.kms_operations import call, wrapped
from testing.regions import SetClock

BIN = Path(sys.executable).parent
"""Where the AWS CLI is, if it is installed beside the project."""
ARN = "arn:aws:kms:us-east-1:000000000000:key/"


def test_keys_survive_a_kill(start_server: Callable[..., Server]) -> None:
    server = start_server(workers=2)
    kms = server.client("kms")
    key = kms.create_key(Description="kept")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/kept", TargetKeyId=key)
    grant = kms.create_grant(KeyId=key, GranteePrincipal="arn:aws:iam::000000000000:role/r", Operations=["Decrypt"])
    first = kms.encrypt(KeyId=key, Plaintext=b"first")["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=key)
    second = kms.encrypt(KeyId=key, Plaintext=b"second")["CiphertextBlob"]
    token = kms.list_keys(Limit=1)
    server.kill()
    again = start_server(workers=2)
    kms = again.client("kms")
    assert kms.describe_key(KeyId="alias/kept")["KeyMetadata"]["Description"] == "kept"
    assert [kms.decrypt(CiphertextBlob=blob)["Plaintext"] for blob in (first, second)] == [b"first", b"second"]
    assert [one["GrantId"] for one in kms.list_grants(KeyId=key)["Grants"]] == [grant["GrantId"]]
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 1
    assert token["Keys"] == kms.list_keys(Limit=1)["Keys"]
    kms.retire_grant(GrantToken=grant["GrantToken"])


def test_every_worker_refuses_a_disabled_key_at_once(start_server: Callable[..., Server]) -> None:
    server = start_server(workers=2, in_memory=True)
    kms = server.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    clients = [server.client("kms") for _ in range(8)]  # Each has a connection of its own.
    for _ in range(3):
        kms.disable_key(KeyId=key)
        for client in clients:
            assert refusal(client.decrypt, CiphertextBlob=blob)[1] == "DisabledException"
        kms.enable_key(KeyId=key)
        for client in clients:
            assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_no_file_has_the_material_of_a_key(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server()
    kms = server.client("kms")
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    material = secrets.token_bytes(32)
    parameters = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    kms.import_key_material(
        KeyId=key,
        ImportToken=parameters["ImportToken"],
        EncryptedKeyMaterial=wrapped(material, parameters["PublicKey"]),
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
    )
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    server.kill()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = b"\0".join(path.read_bytes() for path in files)
    assert key.encode() in written
    for form in (material, b64encode(material).rstrip(b"="), material.hex().encode()):
        assert form not in written
    server.restart()
    assert server.client("kms").decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_material_is_sealed_again_under_another_root_key(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        before, after = new_key(), new_key()
        region.root_key = RootKey(before)
        key = (await call(region, "CreateKey"))["KeyMetadata"]["KeyId"]
        blob = (await call(region, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
        both = RootKey(after, [before])
        sealed = key_rows.KMS_MATERIAL.sealed
        assert sealed is not None
        for row, value in await region.engine.range(*key_rows.KMS_MATERIAL.range, 10, 1 << 20):

            def again(part: bytes, name: str, row: bytes = row) -> bytes:
                return both.resealed(part, root_key.place(region.account, region.name, row, name))

            moved = sealed(value, again)
            assert moved != value
            await regions.write(region, lambda writes, row=row, moved=moved: writes.put(row, moved))  # type: ignore[misc]
        region.root_key = RootKey(after)
        assert (await call(region, "Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"

    regions.run(tmp_path, scenario)


def test_keys_stay_usable_while_the_root_key_is_rotated(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(workers=2)
    clients = [server.client("kms") for _ in range(4)]
    key = clients[0].create_key()["KeyMetadata"]["KeyId"]
    blob = clients[0].encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    former = (tmp_path / "data.root-key").read_text()
    done = run_jedlik("root-key", "rotate", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data.root-key").read_text() != former
    for client in clients:
        assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        client.rotate_key_on_demand(KeyId=key)
    server.kill()
    server.restart()
    assert server.client("kms").decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_without_a_root_key_no_key_is_made(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        with pytest.raises(Exception, match="Key material cannot be kept: there is no root key"):
            await call(region, "CreateKey")
        assert (await call(region, "ListKeys"))["Keys"] == []

    regions.run(tmp_path, scenario)


@pytest.mark.skipif(shutil.which("aws", path=BIN) is None, reason="the AWS CLI is not installed")
def test_the_aws_cli_encrypts_and_decrypts(server: Server, tmp_path: Path) -> None:
    kms = server.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    (tmp_path / "secret").write_bytes(b"attack at dawn")
    made = aws(server, tmp_path, "encrypt", "--key-id", key, "--plaintext", "fileb://secret")
    (tmp_path / "blob").write_bytes(b64decode(made["CiphertextBlob"]))
    found = aws(server, tmp_path, "decrypt", "--ciphertext-blob", "fileb://blob")
    assert (b64decode(found["Plaintext"]), found["KeyId"]) == (b"attack at dawn", ARN + key)


def aws(server: Server, folder: Path, *words: str) -> dict[str, str]:
    """The answer of a command of `aws kms`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL_KMS": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
    }
    done = subprocess.run(
        [BIN / "aws", "kms", *words, "--output", "json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found
