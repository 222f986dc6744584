"""What is decided once for the requests of a form, and shared by sessions, is what all policies decide of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.access import UNSEEN, Access, Form, Scope
from jedlik.aws.context import Caller
from jedlik.aws.policies.evaluation import Asking, Identity, Source, decide, finish, prepare
from jedlik.aws.policies.policy_documents import Kind, Policy
from jedlik.aws.policies.policy_parser import parsed
from jedlik.aws.principals import Principal
from jedlik.iam import authorizing, gates
from jedlik.iam.authorizing import PolicyAuthorizer
from jedlik.iam.endpoint_authorizing import EndpointAuthorizer

ACCOUNT = "111111111111"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/Music"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
GET = "dynamodb:GetItem"
NOW = 1_800_000_000.0
Statement = dict[str, Any]


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def policy(*statements: Statement) -> Policy:
    return parsed(document(*statements), Kind.IDENTITY)


def says(effect: str = "Allow", condition: Statement | None = None, resource: str = "*", **more: Any) -> Statement:
    return {"Effect": effect, "Action": "dynamodb:*", "Resource": resource, "Condition": condition or {}, **more}


class Account:
    """An identity store as far as the authorizer knows it: who has which policies."""

    def __init__(self, **policies: Any) -> None:
        self.is_there, self.is_used = True, False
        self.account = ACCOUNT
        self.kept: dict[Any, Any] = {}
        self.policies = policies
        self.looked_up = 0

    def of(self, account: str) -> Account:
        assert account == ACCOUNT
        return self

    def change(self, **policies: Any) -> None:
        self.policies = policies
        self.kept = {}

    def identity_of(self, principal: Principal) -> Identity | None:
        self.looked_up += 1
        if principal.subject == "gone":
            return None
        is_session = principal.kind == "AssumedRole"
        values = {"aws:principaltype": (principal.kind,), "aws:userid": (principal.unique_id,)}
        if principal.source_identity:
            values["aws:sourceidentity"] = (principal.source_identity,)
        if principal.issued is not None:
            values["aws:tokenissuetime"] = (str(principal.issued),)
        values |= {f"aws:principaltag/{key}": (value,) for key, value in principal.tags}
        return Identity(
            ACCOUNT,
            principal.arn,
            Asking.ROLE_SESSION if is_session else Asking.USER,
            principal.unique_id,
            ROLE if is_session else None,
            principal.subject if is_session else None,
            values=values,
            **self.policies,
        )


@pytest.fixture(autouse=True)
def identities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorizing, "identity_of", Account.identity_of)


def authorizer_of(account: Account) -> PolicyAuthorizer:
    stores: Any = account
    return PolicyAuthorizer(stores, clock=lambda: NOW)


def session(name: str = "a", **more: Any) -> Principal:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/{name}"
    return Principal("AssumedRole", arn, f"AROA:{name}", "AROA", issued=NOW, **more)


USER = Principal("User", f"arn:aws:iam::{ACCOUNT}:user/bob", "AIDA", "AIDA")


def caller(who: Principal) -> Caller:
    scope = Scope("aws", ACCOUNT, "eu-west-1")
    return Caller(ACCOUNT, who.arn, who=who, source_address="10.0.0.7", region="eu-west-1", scope=scope)


LEADING, ATTRIBUTES = ("dynamodb:LeadingKeys", "dynamodb:FirstPartitionKeyValues"), ("dynamodb:Attributes",)
Values = dict[str, tuple[str, ...]]


def asked(form: Form, values: tuple[Any, ...]) -> Access:
    """The access of one request of a form."""
    own = {key: tuple(given) for keys, given in zip(form.varying, values, strict=True) for key in keys}
    return form.access._replace(context={**form.access.context, **own})


def form(context: Values | None = None, document: str | None = None) -> Form:
    return Form(Access(GET, TABLE, context or {}, document), (LEADING, ATTRIBUTES))


# Against all policies, each request by itself

TEXTS = st.lists(
    st.sampled_from(["a", "b", "a*", "?", "${aws:userid}", "${aws:PrincipalTag/team}"]), min_size=1, max_size=2
)
STRINGS = st.builds(
    lambda operator, key, values: {operator: {key: values}},
    st.sampled_from(
        [
            *("StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists", "StringNotLike"),
            *("ForAllValues:StringEquals", "ForAnyValue:StringEquals", "ForAllValues:StringLike"),
            *("ForAnyValue:StringNotEquals", "ForAllValues:StringNotLike", "StringEqualsIgnoreCase"),
        ]
    ),
    st.sampled_from(
        [
            *("dynamodb:LeadingKeys", "dynamodb:Attributes", "dynamodb:Select", "dynamodb:FirstPartitionKeyValues"),
            *("aws:userid", "aws:PrincipalTag/team", "aws:SourceIdentity", "dynamodb:ReturnValues"),
        ]
    ),
    TEXTS,
)
CONDITIONS = st.one_of(
    st.just({}),
    STRINGS,
    STRINGS,
    st.sampled_from(
        [
            {"Bool": {"aws:SecureTransport": "false"}},
            {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
            {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}},
            {"NumericLessThan": {"aws:EpochTime": str(int(NOW) + 1)}},
            {"StringEquals": {"aws:ResourceAccount": ACCOUNT, "dynamodb:LeadingKeys": "a"}},
            {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
            {"Null": {"dynamodb:LeadingKeys": "true"}},
            {"Null": {"aws:PrincipalTag/team": "true"}},
            {"StringEquals": {"dynamodb:LeadingKeys": "${aws:SourceIp}"}},
            {"StringEquals": {"aws:userid": "${dynamodb:LeadingKeys}"}},
        ]
    ),
)
STATEMENT = st.builds(
    says,
    st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
    CONDITIONS,
    st.sampled_from(
        [
            *("*", TABLE, TABLE + "2", TABLE.replace("Music", "${aws:PrincipalTag/team}")),
            *(TABLE.replace("Music", f"${{dynamodb:{key}}}") for key in ("Select", "LeadingKeys")),
        ]
    ),
)
STATEMENTS = st.lists(STATEMENT, min_size=1, max_size=3)
PRINCIPALS = st.sampled_from(["*", USER.arn, ROLE, session().arn, f"arn:aws:iam::{ACCOUNT}:root"])
WHO = st.sampled_from(
    [
        USER,
        USER._replace(tags=(("team", "a"),)),
        session("a"),
        session("b", source_identity="b"),
        session("a", tags=(("team", "Music"),)),
    ]
)
GIVEN = st.tuples(
    st.lists(st.sampled_from(["a", "b", "AROA:a", "10.0.0.7", "Music"]), max_size=1).map(tuple),
    st.lists(st.sampled_from(["a", "b", "ab"]), max_size=2, unique=True).map(dict.fromkeys),
)
CONTEXTS = st.fixed_dictionaries(
    {}, optional={"dynamodb:Select": st.sampled_from([("a",), ("COUNT",)]), "dynamodb:ReturnValues": st.just(("b",))}
)


@given(
    STATEMENTS,
    st.none() | STATEMENTS,
    st.none() | STATEMENTS,
    st.none() | st.tuples(STATEMENTS, PRINCIPALS),
    st.lists(st.tuples(WHO, CONTEXTS, GIVEN), min_size=1, max_size=6),
)
def test_requests_of_known_forms_get_what_all_policies_decide(
    identity: list[Statement],
    boundary: list[Statement] | None,
    limits: list[Statement] | None,
    resource: tuple[list[Statement], str] | None,
    requests: list[tuple[Principal, Values, tuple[Any, ...]]],
) -> None:
    account = Account(
        policies=(policy(*identity),),
        boundary=policy(*boundary) if boundary else None,
        session=(policy(*limits),) if limits else None,
    )
    authorizer = authorizer_of(account)
    of_table = None
    if resource is not None:
        of_table = document(*(one | {"Principal": {"AWS": resource[1]}} for one in resource[0]))
    forms: dict[str, Form] = {}
    permits: dict[Principal, Any] = {}
    for who, context, given_ in requests:
        of_form = forms.setdefault(json.dumps(context), form(context, of_table))
        permitted: Any = permits.setdefault(who, authorizer.permits(caller(who)))
        access = asked(of_form, given_)
        values = authorizer.values(access, caller(who))
        made = account.identity_of(who)
        assert made is not None
        on_table = None if of_table is None else parsed(of_table, Kind.RESOURCE)
        expected = decide(made, GET, TABLE, values, on_table).allowed
        assert permitted.allow((of_form, given_)) is expected
        assert permitted.allow((of_form, given_)) is expected
        assert authorizer.allows(caller(who), (access,)) is expected


# The same, of what comes by a VPC endpoint


class Way:
    """A VPC endpoint whose policy can change."""

    id, vpc, account, is_secure = "vpce-0123456789abcdef0", "vpc-0123456789abcdef0", ACCOUNT, True
    vpc_arn = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/{vpc}"

    def __init__(self, policy: str | None = None) -> None:
        self.policy = policy

    def document(self) -> str | None:
        return self.policy

    async def learn(self) -> str:
        assert self.policy is not None
        return self.policy


def through(way: Way, who: Principal | None) -> Caller:
    root = f"arn:aws:iam::{ACCOUNT}:root"
    asking = Caller(ACCOUNT, root) if who is None else caller(who)
    return asking._replace(way=way, source_address="10.0.0.7")


OF_WAY = st.sampled_from(
    [
        {},
        {"StringEquals": {"aws:SourceVpce": Way.id}},
        {"StringNotEquals": {"aws:SourceVpce": Way.id}},
        {"StringEquals": {"aws:SourceVpc": "vpc-00000000", "aws:SourceVpcArn": Way.vpc_arn}},
        {"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}},
        {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"StringEquals": {"aws:VpceAccount": "${aws:PrincipalAccount}"}},
    ]
)
LISTED = st.lists(
    st.builds(says, st.sampled_from(["Allow", "Allow", "Deny"]), st.one_of(OF_WAY, STRINGS), st.just("*")),
    min_size=1,
    max_size=2,
)


@given(
    LISTED,
    st.none() | st.tuples(LISTED, PRINCIPALS),
    st.lists(st.tuples(LISTED, PRINCIPALS), min_size=1, max_size=2),
    st.lists(st.tuples(WHO, CONTEXTS, GIVEN, st.booleans()), min_size=1, max_size=6),
)
def test_requests_by_an_endpoint_get_what_all_policies_decide(
    identity: list[Statement],
    resource: tuple[list[Statement], str] | None,
    endpoints: list[tuple[list[Statement], str]],
    requests: list[tuple[Principal, Values, tuple[Any, ...], bool]],
) -> None:
    account, way = Account(policies=(policy(*identity),)), Way()
    authorizer = EndpointAuthorizer(authorizer_of(account), way)
    documents = [document(*(one | {"Principal": {"AWS": who}} for one in each)) for each, who in endpoints]
    of_table = None
    if resource is not None:
        of_table = document(*(one | {"Principal": {"AWS": resource[1]}} for one in resource[0]))
    forms: dict[str, Form] = {}
    permits: dict[Principal, Any] = {}
    for who, context, given_, is_first in requests:
        asking = through(way, who)
        of_form = forms.setdefault(json.dumps(context), form(context, of_table))
        permitted: Any = permits.setdefault(who, authorizer.permits(asking))
        access = asked(of_form, given_)
        way.policy = None
        assert not permitted.allow((of_form, given_))
        way.policy = documents[0] if is_first else documents[-1]
        made = account.identity_of(who)
        assert made is not None
        on_table = None if of_table is None else parsed(of_table, Kind.RESOURCE)
        on_endpoint = parsed(way.policy, Kind.RESOURCE)
        prepared = prepare(made, GET, TABLE, on_table, endpoint=on_endpoint)
        expected = finish(prepared, authorizer.values(access, asking)).allowed
        assert permitted.allow((of_form, given_)) is expected
        assert permitted.allow((of_form, given_)) is expected
        assert authorizer.allows(asking, (access,)) is expected


def test_the_account_itself_is_limited_by_an_endpoint_alone() -> None:
    one = form(document=document(says("Deny", Principal="*")))
    for who in (None, Principal("User", f"arn:aws:iam::{ACCOUNT}:user/old", "AIDA", "")):
        way = Way(document(says(Principal="*")))
        account = Account(policies=(policy({"Effect": "Allow", "Action": "*", "Resource": "*"}),))
        authorizer = EndpointAuthorizer(authorizer_of(account), way)
        asking = through(way, who)
        permits = authorizer.permits(asking)
        for _ in range(2):
            assert permits.allow((one, (("a",), ())))
            assert authorizer.allows(asking, (one.access,))
        way.policy = document(says(Principal="*", condition={"ForAllValues:StringEquals": {LEADING[0]: "a"}}))
        assert permits.allow((one, (("a",), ())))
        assert not permits.allow((one, (("b",), ())))
        subject = authorizer.subject(asking, way.policy)
        assert subject is not None
        refused = finish(subject.prepared(one.access), {LEADING[0].lower(): ("b",)})
        assert (refused.denied, refused.source) == (False, Source.ENDPOINT)


def test_the_address_of_a_client_is_looked_at_once_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    tunnel = {"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}, **OWN}
    way = Way(document(says(Principal="*", condition=tunnel)))
    authorizer = EndpointAuthorizer(authorizer_of(Account(**allowing())), way)
    inside, outside = (
        authorizer.permits(through(way, USER)._replace(source_address=address)) for address in ("10.1.1.1", "192.0.2.1")
    )
    for _ in range(2):
        assert inside.allow((SHARED_FORM, (("a",), ())))
        assert not outside.allow((SHARED_FORM, (("a",), ())))
        monkeypatch.setattr(gates, "finish", None)
        monkeypatch.setattr(authorizing, "gate_of", None)
    assert not inside.allow((SHARED_FORM, (("b",), ())))


def test_sessions_share_what_is_decided_behind_an_endpoint_unless_its_policy_names_them() -> None:
    for principal, is_shared in (("*", True), (session("a").arn, False)):
        way = Way(document(says(Principal={"AWS": principal}, condition=OWN)))
        authorizer = EndpointAuthorizer(authorizer_of(Account(**allowing(**OWN))), way)
        made = []
        for name in ("a", "b"):
            asking = through(way, session(name))
            subject = authorizer.subject(asking, str(way.policy))
            assert subject is not None
            made.append(subject.gate(SHARED_FORM, authorizer.values(SHARED_FORM.access, asking)))
        assert (made[0] is made[1]) is is_shared
        assert made[1].allows((("a",), ())) is is_shared


# What is decided once


def allowing(**condition: Any) -> dict[str, Any]:
    return {"policies": (policy(says(condition=condition)),)}


OWN = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}}


def test_what_a_request_of_a_known_form_needs_is_one_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    attributes = {"dynamodb:LeadingKeys": ["a"], "dynamodb:Attributes": ["p", "v"]}
    account = Account(**allowing(**{"ForAllValues:StringEquals": attributes}))
    permits = authorizer_of(account).permits(caller(USER))
    assert permits is not None
    plain = Form(Access(GET, TABLE, {"dynamodb:Attributes": ("p",)}), (LEADING,))
    assert permits.allow((plain, (("a",),)))
    monkeypatch.setattr(gates, "finish", None)
    monkeypatch.setattr(authorizing, "gate_of", None)
    monkeypatch.setattr(authorizing, "prepare", None)
    assert permits.allow((plain, (("a",),)))
    assert not permits.allow((plain, (("b",),)))
    assert account.is_used, "its store is not closed meanwhile"


def test_a_change_holds_at_once() -> None:
    account = Account(**allowing(**OWN))
    permits = authorizer_of(account).permits(caller(USER))
    assert permits is not None
    one = form()
    assert permits.allow((one, (("a",), ())))
    account.change(**allowing(StringEquals={"dynamodb:LeadingKeys": "b"}))
    assert not permits.allow((one, (("a",), ())))
    assert permits.allow((one, (("b",), ())))


def test_nobody_is_allowed_anything_who_is_gone() -> None:
    account = Account(**allowing())
    permits = authorizer_of(account).permits(caller(USER._replace(subject="gone")))
    assert permits is not None
    assert not permits.allow((form(), (("a",), ())))


def test_nothing_is_allowed_on_a_table_whose_policy_is_not_known() -> None:
    permits = authorizer_of(Account(**allowing())).permits(caller(USER))
    assert permits is not None
    assert permits.allow((form(), (("a",), ())))
    assert not permits.allow((form(document=UNSEEN), (("a",), ())))


def test_a_store_that_is_made_later_is_noticed() -> None:
    account = Account(**allowing())
    account.is_there = False
    permits = authorizer_of(account).permits(caller(USER))
    assert permits is not None
    one = form()
    assert permits.allow((one, (("a",), ())))
    account.policies = {"policies": ()}
    assert not permits.allow((one, (("a",), ())))


def test_sessions_of_a_role_share_what_is_decided() -> None:
    account = Account(**allowing(**OWN))
    authorizer = authorizer_of(account)
    made = []
    for name in ("a", "b", "c"):
        subject = authorizer.subject(ACCOUNT, session(name))
        assert subject is not None
        values = authorizer.values(form().access, caller(session(name)))
        made.append(subject.gate(SHARED_FORM, values))
    assert made[0] is made[1] is made[2]


SHARED_FORM = form()


@pytest.mark.parametrize(
    ("policies", "document"),
    [
        (allowing(StringEquals={"aws:userid": "AROA:a"}), None),
        (allowing(StringEquals={"dynamodb:LeadingKeys": "${aws:userid}"}), None),
        ({"policies": ()}, document(says(Principal={"AWS": session().arn}, condition=OWN))),
    ],
)
def test_sessions_do_not_share_what_depends_on_them(policies: dict[str, Any], document: str | None) -> None:
    authorizer = authorizer_of(Account(**policies))
    of_form = form(document=document)
    given_ = (("AROA:a",) if document is None else ("a",), ())
    allowed = []
    for name in ("a", "b", "a"):
        permits = authorizer.permits(caller(session(name)))
        assert permits is not None
        allowed.append(permits.allow((of_form, given_)))
    assert allowed == [True, False, True]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorizing, "MOST_PREPARED", 3)
    authorizer = authorizer_of(Account(**allowing(**OWN)))
    for who in (USER, session()):
        permits = authorizer.permits(caller(who))
        subject = authorizer.subject(ACCOUNT, who)
        assert permits is not None
        assert subject is not None
        for _ in range(10):
            one = form()
            assert permits.allow((one, (("a",), ())))
            assert not permits.allow((one, (("b",), ())))
            assert len(subject.gates) <= 3


@pytest.mark.parametrize(("who", "principal"), [(USER, "*"), (session(), ROLE), (session(), "*"), (USER, USER.arn)])
def test_the_policy_of_a_table_allows_what_nobody_else_does(who: Principal, principal: str) -> None:
    of_form = form(document=document(says(Principal={"AWS": principal}, condition=OWN)))
    permits = authorizer_of(Account(policies=())).permits(caller(who))
    assert permits is not None
    assert permits.allow((of_form, (("a",), ())))
    assert not permits.allow((of_form, (("b",), ())))


def test_a_resource_may_depend_on_what_varies() -> None:
    own = policy(says(resource=TABLE.replace("Music", "${dynamodb:LeadingKeys}")))
    permits = authorizer_of(Account(policies=(own,))).permits(caller(USER))
    assert permits is not None
    assert permits.allow((SHARED_FORM, (("Music",), ())))
    assert not permits.allow((SHARED_FORM, (("a",), ())))


def test_tags_of_the_table_are_looked_at_each_time() -> None:
    tags = {"team": "a"}
    account: Any = Account(**allowing(StringEquals={"aws:ResourceTag/team": "a"}))
    permits = PolicyAuthorizer(account, tags_of=lambda arn: tags if arn == TABLE else {}).permits(caller(USER))
    assert permits is not None
    assert permits.allow((SHARED_FORM, (("a",), ())))
    tags["team"] = "b"
    assert not permits.allow((SHARED_FORM, (("a",), ())))


def test_the_moment_is_looked_at_each_time() -> None:
    now = [NOW]
    account: Any = Account(**allowing(NumericLessThan={"aws:EpochTime": str(int(NOW) + 10)}))
    permits = PolicyAuthorizer(account, clock=lambda: now[0]).permits(caller(USER))
    assert permits is not None
    one = form()
    assert permits.allow((one, (("a",), ())))
    now[0] += 20
    assert not permits.allow((one, (("a",), ())))
