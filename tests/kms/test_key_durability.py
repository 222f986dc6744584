"""Keys after kills, between workers, and in the files of a store."""

from __future__ import annotations

from collections.abc import Callable

from testing.identities import refusal
from testing.jedlik_process import Server

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
