"""Callers whom policies limit go the short way, too: with what they may do, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.context import Caller, Context
from jedlik.aws.credentials import Credentials
from jedlik.aws.principals import ROLE_SESSION, Principal
from jedlik.aws.sigv4 import REFRESH_SECONDS
from jedlik.config import Settings
from jedlik.dynamodb import catalog
from jedlik.iam import inline_policies, roles, session_tokens, users
from jedlik.iam.authorizing import PolicyAuthorizer
from jedlik.iam.identity_rows import ROLE, USER
from jedlik.iam.identity_stores import IdentityStores
from jedlik.iam.known_keys import KnownKeys
from jedlik.root_key import RootKey, new_key
from jedlik.wire.messages import Request, Response
from testing.dynamodb.both_ways import Site, without_id
from testing.identities import policy

ACCOUNT = "000000000000"
KEY = {"p": {"S": "a"}, "s": {"N": "1"}}
GET = {"TableName": "both", "Key": KEY}
OWN = {
    "Effect": "Allow",
    "Action": "dynamodb:*Item",
    "Resource": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/both",
    "Condition": {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"], "dynamodb:Attributes": ["p", "s", "x", "text"]},
    },
}
QUERY = {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": "*"} | {"Condition": OWN["Condition"]}
TRUST = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})


class Callers:
    """A site with a user and a session of a role, both with one policy."""

    def __init__(self, folder: Path) -> None:
        self.identities = IdentityStores(Settings(data_dir=folder, in_memory=True), root_key=RootKey(new_key()))
        self.authorizer = PolicyAuthorizer(self.identities)
        keys: Any = KnownKeys(Credentials(folder / "keys.json"), self.identities)
        self.site = Site(folder, keys, authorizer=self.authorizer)
        self.identity = self.identities.of(ACCOUNT)
        self.context = Context(self.site.region, "id", Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"))
        self.run(users.create_user, UserName="bob")
        made = self.run(users.create_access_key, UserName="bob")["AccessKey"]
        self.user = Keys(made["AccessKeyId"], made["SecretAccessKey"])
        role = self.run(roles.create_role, RoleName="app", AssumeRolePolicyDocument=TRUST)["Role"]
        self.session = self.session_of(role["RoleId"], "me")
        self.allow(OWN, QUERY)

    def session_of(self, role_id: str, name: str) -> Keys:
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/{name}"
        principal = Principal(ROLE_SESSION, arn, f"{role_id}:{name}", role_id, issued=self.identity.now)
        key = users.new_access_key(ACCOUNT, "ASIA")
        token = session_tokens.sealed(self.identity, principal, key, "secret", self.identity.now + 3600)
        return Keys(key, "secret", token)

    def run(self, handler: Any, **request: Any) -> Any:
        return self.site.loop.run(handler(self.identity, self.context, request))

    def allow(self, *statements: dict[str, Any]) -> None:
        for kind, name in ((USER, "bob"), (ROLE, "app")):
            document = policy(*statements)
            put = inline_policies.put(kind)
            self.run(put, **{kind.name: name, "PolicyName": "p", "PolicyDocument": document})
        self.site.now += REFRESH_SECONDS

    def ways(self, who: Keys, operation: str, asked: Any) -> tuple[Response | None, Response]:
        """The answers of the short way and of the long one, to a signer who is known."""
        first, second = (signed(who, operation, asked) for _ in range(2))
        self.site.long(signed(who, "GetItem", GET))
        return self.site.short(first), self.site.long(second)

    def close(self) -> None:
        self.site.loop.run(self.identities.close())
        self.site.close()


def signed(who: Keys, operation: str, asked: Any) -> Request:
    """A request as boto3 signs it."""
    body = orjson.dumps(asked)
    given_ = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
    made = AWSRequest("POST", "http://localhost:8000/", headers=given_ | {"Host": "localhost:8000"}, data=body)
    SigV4Auth(who, "dynamodb", "us-east-1").add_auth(made)
    return Request(
        b"POST", b"/", {name.lower().encode(): value.encode() for name, value in made.headers.items()}, b"", body
    )


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    made = Callers(tmp_path_factory.mktemp("callers"))
    yield made
    made.close()


@pytest.fixture
def own_callers(tmp_path: Path) -> Iterator[Callers]:
    made = Callers(tmp_path)
    yield made
    made.close()


ITEM = {**KEY, "x": {"S": "x1"}, "text": {"S": "t"}}
QUERIED = {"TableName": "both", "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
UPDATE = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"S": "x2"}}}
THEIRS = {"p": {"S": "é"}, "s": {"N": "1"}}
BARE = {"TableName": "bare", "Key": {"p": {"S": "a"}}}
ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("GetItem", GET),
    ("GetItem", GET | {"ConsistentRead": True}),
    ("Query", QUERIED),
    ("Query", QUERIED | {"Limit": 2}),
    ("DeleteItem", {"TableName": "both", "Key": KEY | {"s": {"N": "77"}}}),
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("GetItem", GET | {"Key": THEIRS}),
    ("GetItem", BARE),
    ("Query", QUERIED | {"ExpressionAttributeValues": {":p": {"S": "é"}}}),
    ("PutItem", {"TableName": "both", "Item": ITEM | {"more": {"S": "t"}}}),
    ("PutItem", {"TableName": "both", "Item": ITEM | THEIRS}),
    ("UpdateItem", {"TableName": "both", "Key": KEY, **UPDATE} | {"UpdateExpression": "SET y = :x"}),
    ("UpdateItem", {"TableName": "both", "Key": THEIRS, **UPDATE}),
    ("DeleteItem", {"TableName": "both", "Key": THEIRS}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "both", "Item": ITEM | THEIRS}}]}),
]


@pytest.mark.parametrize("who", ["user", "session"])
@pytest.mark.parametrize(("operation", "asked"), ALLOWED)
def test_what_is_allowed_goes_the_short_way(callers: Callers, who: str, operation: str, asked: dict[str, Any]) -> None:
    short, long = callers.ways(getattr(callers, who), operation, asked)
    has_collections = operation == "DeleteItem"  # A local index: the short way leaves such writes to the long one.
    assert (short is None) is has_collections
    assert long.status == 200
    if short is not None:
        assert (short.status, short.body, without_id(short)) == (200, long.body, without_id(long))


@pytest.mark.parametrize("who", ["user", "session"])
@pytest.mark.parametrize(("operation", "asked"), REFUSED)
def test_what_is_refused_is_refused_the_long_way(
    callers: Callers, who: str, operation: str, asked: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    short, long = callers.ways(getattr(callers, who), operation, asked)
    assert short is None
    assert (long.status, orjson.loads(long.body)["__type"].partition("#")[2]) == (400, "AccessDeniedException")
    [line] = [vars(record) for record in caplog.records if record.getMessage() == "access denied"]
    action = "PutItem" if operation == "TransactWriteItems" else operation
    assert line["action"] == f"dynamodb:{action}"
    assert line["caller"].endswith("user/bob" if who == "user" else "assumed-role/app/me")


WRITES: list[tuple[str, dict[str, Any]]] = [
    ("PutItem", {"TableName": "bare", "Item": {"p": {"S": "a"}, "x": {"S": "1"}}}),
    ("UpdateItem", BARE | UPDATE),
    ("DeleteItem", BARE),
    ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "bare", "Item": {"p": {"S": "a"}}}}]}),
]


@pytest.mark.parametrize("who", ["user", "session"])
def test_writes_go_the_short_way(own_callers: Callers, who: str) -> None:
    own_callers.allow(OWN | {"Resource": "*"})
    for operation, asked in WRITES:
        short, long = own_callers.ways(getattr(own_callers, who), operation, asked)
        assert short is not None, operation
        assert (short.status, short.body) == (long.status, long.body) == (200, b"{}")


@pytest.mark.parametrize("who", ["user", "session"])
def test_a_change_holds_within_a_second(own_callers: Callers, who: str) -> None:
    keys = getattr(own_callers, who)
    assert own_callers.ways(keys, "GetItem", GET)[0] is not None
    own_callers.allow(QUERY)
    refused, long = own_callers.ways(keys, "GetItem", GET)
    assert (refused, long.status) == (None, 400)
    assert own_callers.ways(keys, "Query", QUERIED)[0] is not None
    own_callers.allow(OWN)
    assert own_callers.ways(keys, "GetItem", GET)[0] is not None


def test_a_principal_that_is_deleted_is_refused(own_callers: Callers) -> None:
    for keys in (own_callers.user, own_callers.session):
        assert own_callers.ways(keys, "GetItem", GET)[0] is not None
    for kind, name in ((USER, "bob"), (ROLE, "app")):
        own_callers.run(inline_policies.delete(kind), **{kind.name: name, "PolicyName": "p"})
    own_callers.run(users.delete_access_key, UserName="bob", AccessKeyId=own_callers.user.access_key)
    own_callers.run(users.delete_user, UserName="bob")
    own_callers.run(roles.delete_role, RoleName="app")
    for keys in (own_callers.user, own_callers.session):
        # The worker that has made the change forgets at once, before it looks again.
        assert own_callers.site.short(signed(keys, "GetItem", GET)) is None
        assert own_callers.site.long(signed(keys, "GetItem", GET)).status == 400


def test_a_table_that_is_made_again_is_another(own_callers: Callers) -> None:
    keys = own_callers.user
    assert own_callers.ways(keys, "GetItem", GET)[0] is not None
    region = own_callers.site.region
    table = {
        "TableName": "both",
        "KeySchema": [{"AttributeName": "s", "KeyType": "HASH"}, {"AttributeName": "p", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": type_} for name, type_ in ("pS", "sN")],
        "BillingMode": "PAY_PER_REQUEST",
    }
    own_callers.site.loop.run(catalog.look(region))
    stale = region.known.get("both") or own_callers.site.loop.run(catalog.current(region, "both"))
    own_callers.site.must("DeleteTable", {"TableName": "both"})
    own_callers.site.must("CreateTable", table)
    region.known["both"] = stale
    own_callers.site.loop.run(catalog.look(region))
    assert "both" not in region.known, "a worker that looks once a second has forgotten it"
    short, long = own_callers.ways(keys, "GetItem", GET)
    assert (short, long.status) == (None, 400)
    own_callers.allow(OWN | {"Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["1"]}}})
    assert own_callers.ways(keys, "GetItem", GET)[0] is not None


def test_the_token_of_a_session_is_opened_once(own_callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_callers.ways(own_callers.session, "GetItem", GET)[0] is not None
    monkeypatch.setattr(session_tokens, "opened", None)
    monkeypatch.setattr("jedlik.iam.known_keys.opened", None)
    assert own_callers.site.short(signed(own_callers.session, "GetItem", GET)) is not None
    other = Keys(own_callers.session.access_key, "secret", own_callers.session.token[:-8] + "AAAAAAA=")
    assert own_callers.site.short(signed(other, "GetItem", GET)) is None, "its token is compared each time"


VALUES = st.sampled_from([{"S": "a"}, {"S": "é"}, {"S": ""}, {"N": "1"}, {"N": "x"}, {"S": "a", "N": "1"}, "a", None])
KEYS = st.dictionaries(st.sampled_from(["p", "s", "text", "q"]), VALUES, max_size=3) | st.just(KEY)
ASKED = st.fixed_dictionaries(
    {"TableName": st.sampled_from(["both", "both", "bare", "unknown", None])},
    optional={
        "Key": KEYS,
        "KeyConditionExpression": st.sampled_from(["p = :p", "#p = :p", "q = :p", "p = :p and s > :s", "("]),
        "ExpressionAttributeNames": st.just({"#p": "p"}),
        "ExpressionAttributeValues": st.dictionaries(st.sampled_from([":p", ":s"]), VALUES, min_size=1),
        "ConsistentRead": st.sampled_from([True, None]),
        "Limit": st.sampled_from([1, 0, None]),
        "ProjectionExpression": st.sampled_from(["x", "secret", "p"]),
    },
)


@given(st.sampled_from(["GetItem", "Query"]), ASKED, st.booleans())
@settings(max_examples=150, deadline=None)
def test_both_ways_answer_alike(callers: Callers, operation: str, asked: dict[str, Any], is_session: bool) -> None:
    short, long = callers.ways(callers.session if is_session else callers.user, operation, asked)
    if short is not None:
        assert (short.status, short.body, without_id(short)) == (long.status, long.body, without_id(long))
        assert short.status == 200
