"""The group document of a global table: its copies converge, whatever each region does and receives first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.dynamodb.model import descriptors, replicas
from jedlik.dynamodb.model.replicas import ACTIVE, CREATING, DELETED, DELETING, Group, Replica
from testing.dynamodb.schemas import table

NOW = 1_700_000_000.5
LATER = NOW + 1
EARLIER = NOW - 3600
HERE, THERE, ELSEWHERE = "us-east-1", "eu-west-1", "ap-south-1"


def group(**settings: Any) -> Group:
    """A group of HERE alone."""
    return replicas.make("g", HERE, settings, NOW)


def pair() -> Group:
    """A group of two active replicas, HERE and THERE."""
    made = replicas.created(group(), THERE, HERE, HERE, NOW)
    return replicas.moved(made, THERE, ACTIVE, NOW)


def statuses(document: Group) -> dict[str, str]:
    return {region: replicas.status(document, region)["Status"] for region in replicas.regions(document)}


def test_a_new_group_has_one_active_replica_and_the_settings_of_its_table() -> None:
    made = group(TimeToLive="expires")
    assert statuses(made) == {HERE: ACTIVE}
    assert replicas.settings(made) == {"TimeToLive": "expires"}
    assert replicas.overrides(made, HERE) == {}


def test_a_replica_lives_from_creating_to_deleted() -> None:
    document = replicas.created(group(), THERE, HERE, HERE, NOW)
    assert replicas.status(document, THERE) == {"Status": CREATING, "Source": HERE, "Since": NOW}
    for stage in (ACTIVE, DELETING):
        document = replicas.moved(document, THERE, stage, LATER)
        assert statuses(document) == {HERE: ACTIVE, THERE: stage}
    document = replicas.moved(document, THERE, DELETED, LATER)
    assert statuses(document) == {HERE: ACTIVE}
    assert replicas.status(document, THERE)["Status"] == DELETED


def test_a_life_never_goes_back() -> None:
    deleting = replicas.moved(pair(), THERE, DELETING, NOW)
    assert replicas.moved(deleting, THERE, ACTIVE, LATER) is deleting


def test_a_deletion_wins_over_a_status_that_a_fast_clock_wrote() -> None:
    creating = replicas.created(group(), THERE, HERE, HERE, NOW)
    deleted_here = replicas.moved(creating, THERE, DELETING, NOW)
    active_there = replicas.moved(creating, THERE, ACTIVE, NOW + 1e6)
    assert statuses(replicas.merge(active_there, deleted_here)) == {HERE: ACTIVE, THERE: DELETING}


def test_a_replica_can_be_created_again_whatever_the_clock_shows() -> None:
    gone = replicas.moved(pair(), THERE, DELETED, NOW)
    again = replicas.created(gone, THERE, HERE, HERE, EARLIER)
    assert statuses(replicas.merge(gone, again)) == {HERE: ACTIVE, THERE: CREATING}


def test_a_copy_without_a_deletion_does_not_undo_it() -> None:
    before = pair()
    after = replicas.moved(before, THERE, DELETED, LATER)
    assert replicas.merge(before, after) == replicas.merge(after, before) == after


def test_two_regions_that_delete_each_other_keep_one_replica() -> None:
    before = pair()
    merged = replicas.merge(replicas.moved(before, THERE, DELETING, NOW), replicas.moved(before, HERE, DELETING, LATER))
    assert statuses(merged) == {HERE: DELETING, THERE: ACTIVE}
    assert statuses(replicas.moved(merged, HERE, DELETED, LATER)) == {THERE: ACTIVE}


def test_the_later_of_two_changes_of_a_setting_wins_and_others_are_left_alone() -> None:
    before = group(TimeToLive=None, BillingMode="PROVISIONED")
    ours = replicas.with_settings(before, {"TimeToLive": "expires"}, HERE, NOW)
    theirs = replicas.with_settings(before, {"TimeToLive": "until"}, THERE, LATER)
    theirs = replicas.with_settings(theirs, {"BillingMode": "PAY_PER_REQUEST"}, THERE, LATER)
    assert replicas.settings(replicas.merge(ours, theirs)) == {"TimeToLive": "until", "BillingMode": "PAY_PER_REQUEST"}


def test_the_change_of_the_greater_region_wins_between_two_at_the_same_time() -> None:
    before = group(TimeToLive=None)
    ours = replicas.with_settings(before, {"TimeToLive": "us"}, HERE, LATER)
    theirs = replicas.with_settings(before, {"TimeToLive": "eu"}, THERE, LATER)
    assert replicas.settings(replicas.merge(theirs, ours)) == {"TimeToLive": "us"}
    assert replicas.merge(theirs, ours) == replicas.merge(ours, theirs)


def test_a_change_supersedes_what_it_saw_whatever_the_clock_shows() -> None:
    before = group(TimeToLive="until")
    after = replicas.with_settings(before, {"TimeToLive": "expires"}, THERE, EARLIER)
    assert replicas.merge(before, after) == after


def test_what_is_not_changed_keeps_its_version() -> None:
    before = group(TimeToLive="expires")
    assert replicas.with_settings(before, {"TimeToLive": "expires"}, THERE, LATER) is before


def test_overrides_are_a_replicas_own() -> None:
    document = replicas.with_overrides(pair(), THERE, {"KMSMasterKeyId": "alias/eu"}, HERE, NOW)
    assert replicas.overrides(document, THERE) == {"KMSMasterKeyId": "alias/eu"}
    assert replicas.overrides(document, HERE) == {}
    document = replicas.with_overrides(document, THERE, {"TableClassOverride": "STANDARD"}, THERE, NOW)
    document = replicas.with_overrides(document, THERE, {"KMSMasterKeyId": None}, HERE, NOW)
    assert replicas.overrides(document, THERE) == {"TableClassOverride": "STANDARD"}


def test_a_setting_that_was_taken_away_stays_away() -> None:
    before = group(TimeToLive="expires")
    after = replicas.with_settings(before, {"TimeToLive": None}, HERE, LATER)
    assert replicas.settings(replicas.merge(before, after)) == {}


def test_equal_documents_have_equal_versions_and_others_have_not() -> None:
    document = pair()
    assert replicas.version(document) == replicas.version(orjson.loads(orjson.dumps(document)))
    assert replicas.version(document) != replicas.version(replicas.moved(document, THERE, DELETING, NOW))


def test_documents_of_different_groups_are_not_merged() -> None:
    with pytest.raises(ValueError, match="different groups"):
        replicas.merge(group(), replicas.make("another", HERE, {}, NOW))


def test_a_replica_made_again_has_no_overrides_of_the_former() -> None:
    document = replicas.with_overrides(pair(), THERE, {"KMSMasterKeyId": "alias/eu"}, HERE, NOW)
    gone = replicas.moved(document, THERE, DELETED, LATER)
    assert replicas.overrides(replicas.created(gone, THERE, HERE, HERE, LATER), THERE) == {}


def test_the_regions_that_were_lately_sources_of_replicas() -> None:
    document = replicas.created(pair(), ELSEWHERE, THERE, THERE, LATER)
    assert replicas.sources(document, NOW) == {HERE, THERE}
    assert replicas.sources(document, LATER) == {THERE}
    assert replicas.sources(replicas.moved(document, ELSEWHERE, DELETED, LATER), LATER) == set()


def test_a_status_determines_the_fate_of_the_table() -> None:
    document = replicas.created(group(), THERE, HERE, HERE, NOW, existing=True)
    assert replicas.status(document, THERE)["Existing"]
    document = replicas.moved(document, THERE, DELETING, LATER, kept=True)
    assert replicas.status(document, THERE)["Kept"]


def test_a_group_knows_when_it_was_begun() -> None:
    assert replicas.begun(replicas.created(group(), THERE, HERE, HERE, LATER)) == NOW


# Whatever happens, in any order

REGIONS = (HERE, THERE, ELSEWHERE)
TIMES = st.integers(-5, 5).map(lambda seconds: NOW + seconds)


@st.composite
def changed(draw: st.DrawFn, document: Group, by: str) -> Group:
    """A document after some changes by one region."""
    for _ in range(draw(st.integers(0, 4))):
        now, region = draw(TIMES), draw(st.sampled_from(REGIONS))
        match draw(st.sampled_from(["setting", "override", "create", "move"])):
            case "setting":
                setting = draw(st.sampled_from("ab"))
                document = replicas.with_settings(document, {setting: draw(st.integers(0, 3))}, by, now)
            case "override":
                document = replicas.with_overrides(document, region, {"Key": draw(st.integers(0, 3))}, by, now)
            case "create" if replicas.status(document, region)["Status"] == DELETED:
                document = replicas.created(document, region, by, by, now)
            case "move" if region in document["Statuses"]:
                document = replicas.moved(document, region, draw(st.sampled_from([ACTIVE, DELETING, DELETED])), now)
    return document


@st.composite
def copies(draw: st.DrawFn) -> tuple[Group, Group, Group]:
    """Copies of one document, each changed by a region on its own."""
    one, two, three = (draw(changed(pair(), region)) for region in REGIONS)
    return one, two, three


@given(copies())
def test_copies_that_have_received_the_same_changes_are_equal(documents: tuple[Group, Group, Group]) -> None:
    one, two, three = documents
    merge = replicas.merge
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(merge(one, two), two) == merge(one, two)


@given(copies())
def test_one_replica_always_stays(documents: tuple[Group, Group, Group]) -> None:
    one, two, three = documents
    for document in (one, two, three, replicas.merge(replicas.merge(one, two), three)):
        there = statuses(document)
        assert not there or any(status != DELETING for status in there.values())


# As part of a descriptor


def described(document: Group | None) -> Replica | None:
    return descriptors.parse(descriptors.serialize(replace(table().descriptor, group=document))).replica


def test_an_ordinary_table_is_no_replica() -> None:
    assert described(None) is None


def test_a_replica_knows_its_region_its_state_and_its_peers() -> None:
    document = replicas.created(pair(), ELSEWHERE, THERE, THERE, NOW)
    assert described(document) == Replica("g", HERE, ACTIVE, None, (THERE, ELSEWHERE))


def test_a_replica_that_is_being_created_knows_its_source() -> None:
    document = replicas.created(replicas.make("g", THERE, {}, NOW), HERE, THERE, THERE, NOW)
    assert described(document) == Replica("g", HERE, CREATING, THERE, (THERE,))
