"""What the caches keep, what they pass by, and what changes them: as AWS describes DAX."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

Key = dict[str, Any]
_keys = itertools.count()


@pytest.fixture
def key() -> Key:
    """The key of an item that no other test has."""
    return {"p": {"S": f"cached {next(_keys)}"}}


class Tables:
    """An item of the table, read and written through DAX and past it."""

    def __init__(self, dax: Any, dynamodb: Any, key: Key) -> None:
        self.dax = dax
        self.dynamodb = dynamodb
        self.key = key

    def put(self, client: Any, value: str) -> None:
        client.put_item(TableName="p-s", Item=self.key | {"v": {"S": value}})

    def get(self, client: Any, **more: Any) -> str | None:
        item = client.get_item(TableName="p-s", Key=self.key, **more).get("Item")
        value: str | None = None if item is None else item["v"]["S"]
        return value

    def batch(self) -> str | None:
        found = self.dax.batch_get_item(RequestItems={"p-s": {"Keys": [dict(self.key)]}})["Responses"]["p-s"]
        return found[0]["v"]["S"] if found else None


@pytest.fixture
def tables(dax: Any, dynamodb: Any, key: Key) -> Tables:
    return Tables(dax, dynamodb, key)


def test_an_item_that_was_read_is_kept(tables: Tables) -> None:
    tables.put(tables.dynamodb, "first")
    assert tables.get(tables.dax) == "first"
    tables.put(tables.dynamodb, "second")
    assert tables.get(tables.dax) == "first"
    assert tables.batch() == "first"
    assert tables.get(tables.dax, ProjectionExpression="v") == "second", "a projection is an answer of its own"


def test_that_there_is_no_item_is_kept_too(tables: Tables) -> None:
    assert tables.get(tables.dax) is None
    tables.put(tables.dynamodb, "there")
    assert tables.get(tables.dax) is None
    assert tables.batch() is None
    tables.put(tables.dax, "mine")
    assert tables.get(tables.dax) == "mine"


def test_a_batch_fills_the_item_cache(tables: Tables) -> None:
    tables.put(tables.dynamodb, "first")
    assert tables.batch() == "first"
    tables.put(tables.dynamodb, "second")
    assert tables.get(tables.dax) == "first"


def test_a_batch_from_the_cache_is_as_large_as_one_from_the_table(dax: Any, dynamodb: Any, key: Key) -> None:
    keys: list[Key] = [key | {"n": {"N": str(number)}} for number in range(44)]
    for start in (0, 22):
        puts = [{"PutRequest": {"Item": one | {"v": {"S": "x" * 409_000}}}} for one in keys[start : start + 22]]
        dynamodb.batch_write_item(RequestItems={"p-s-n": puts})
    counts = []
    for asked in (keys[:22], keys[22:], keys):  # In the end all are in the cache.
        answer = dax.batch_get_item(RequestItems={"p-s-n": {"Keys": [dict(one) for one in asked]}})
        left = answer["UnprocessedKeys"].get("p-s-n", {}).get("Keys", [])
        counts.append((len(answer["Responses"]["p-s-n"]), len(left)))
    assert counts == [(22, 0), (22, 0), (41, 3)]
    assert sorted(one["n"]["N"] for one in left) == ["41", "42", "43"]


def test_strongly_consistent_reads_pass_by(tables: Tables) -> None:
    tables.put(tables.dynamodb, "first")
    assert tables.get(tables.dax) == "first"
    tables.put(tables.dynamodb, "second")
    assert tables.get(tables.dax, ConsistentRead=True) == "second"
    assert tables.get(tables.dax) == "first", "what they read is not kept"


def test_transactions_read_past_the_cache(tables: Tables) -> None:
    tables.put(tables.dynamodb, "first")
    assert tables.get(tables.dax) == "first"
    tables.put(tables.dynamodb, "second")
    [read] = tables.dax.transact_get_items(TransactItems=[{"Get": {"TableName": "p-s", "Key": tables.key}}])[
        "Responses"
    ]
    assert read["Item"]["v"] == {"S": "second"}
    assert tables.get(tables.dax) == "first"


@pytest.mark.parametrize("returned", ["NONE", "ALL_NEW", "UPDATED_OLD"])
def test_an_update_is_seen_at_once(tables: Tables, returned: str) -> None:
    tables.put(tables.dynamodb, "first")
    assert tables.get(tables.dax) == "first"
    tables.dax.update_item(
        TableName="p-s",
        Key=tables.key,
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": "second"}},
        ReturnValues=returned,
    )
    assert tables.get(tables.dax) == "second"


def test_what_was_written_is_in_the_cache(tables: Tables) -> None:
    tables.put(tables.dax, "mine")
    tables.put(tables.dynamodb, "theirs")
    assert tables.get(tables.dax) == "mine"
    tables.dax.delete_item(TableName="p-s", Key=tables.key)
    tables.put(tables.dynamodb, "theirs")
    assert tables.get(tables.dax) is None


def test_a_batch_of_writes_is_in_the_cache(tables: Tables) -> None:
    tables.dax.batch_write_item(RequestItems={"p-s": [{"PutRequest": {"Item": tables.key | {"v": {"S": "mine"}}}}]})
    tables.put(tables.dynamodb, "theirs")
    assert tables.get(tables.dax) == "mine"
    tables.dax.batch_write_item(RequestItems={"p-s": [{"DeleteRequest": {"Key": dict(tables.key)}}]})
    tables.put(tables.dynamodb, "theirs")
    assert tables.get(tables.dax) is None


def test_a_transaction_is_seen_at_once(tables: Tables) -> None:
    assert tables.get(tables.dax) is None
    put = {"TableName": "p-s", "Item": tables.key | {"v": {"S": "second"}}}
    tables.dax.transact_write_items(TransactItems=[{"Put": put}])
    assert tables.get(tables.dax) == "second"


def test_a_refused_write_changes_no_cache(tables: Tables) -> None:
    tables.put(tables.dynamodb, "first")
    assert tables.get(tables.dax) == "first"
    tables.put(tables.dynamodb, "second")
    with pytest.raises(Exception, match="conditional"):
        tables.dax.delete_item(TableName="p-s", Key=tables.key, ConditionExpression="attribute_not_exists(p)")
    assert tables.get(tables.dax) == "first"


@pytest.mark.parametrize("other", ["1.50", "15E-1", "001.5"])
def test_a_number_is_one_key_however_it_is_written(dax: Any, dynamodb: Any, other: str) -> None:
    dynamodb.put_item(TableName="p-n", Item={"p": {"N": "1.5"}, "v": {"S": "first"}})
    dax.put_item(TableName="p-n", Item={"p": {"N": "1.5"}, "v": {"S": "mine"}})
    dynamodb.put_item(TableName="p-n", Item={"p": {"N": "1.5"}, "v": {"S": "theirs"}})
    for number in (other, "1.5", other):
        assert dax.get_item(TableName="p-n", Key={"p": {"N": number}})["Item"]["v"] == {"S": "mine"}


def _query(client: Any, key: Key, number: str = "1.5", **more: Any) -> list[str]:
    found = client.query(
        TableName="p-s-n",
        KeyConditionExpression="p = :p AND n > :n",
        ExpressionAttributeValues={":p": key["p"], ":n": {"N": number}},
        **more,
    )
    return [item["n"]["N"] for item in found["Items"]]


def _add(client: Any, key: Key, number: str) -> None:
    client.put_item(TableName="p-s-n", Item=key | {"n": {"N": number}})


def test_a_page_is_kept_by_its_parameters_and_writes_do_not_touch_it(dax: Any, dynamodb: Any, key: Key) -> None:
    assert _query(dax, key) == []
    _add(dax, key, "2")
    assert _query(dax, key) == []
    assert _query(dax, key, "1.50") == []
    assert _query(dax, key, Limit=10) == ["2"]
    assert _query(dax, key, ConsistentRead=True) == ["2"]
    assert _query(dax, key) == []
    assert _query(dax, key, "1.6") == ["2"]


def test_pages_and_items_do_not_fill_each_other(dax: Any, dynamodb: Any, key: Key) -> None:
    _add(dynamodb, key, "2")
    assert _query(dax, key) == ["2"]
    dynamodb.put_item(TableName="p-s-n", Item=key | {"n": {"N": "2"}, "v": {"S": "new"}})
    assert "v" in dax.get_item(TableName="p-s-n", Key=key | {"n": {"N": "2"}})["Item"]


def test_a_scan_is_kept(dax: Any, dynamodb: Any, key: Key) -> None:
    request = {
        "TableName": "p-s-s",
        "FilterExpression": "p = :p",
        "ExpressionAttributeValues": {":p": key["p"]},
        "Select": "COUNT",
    }
    assert dax.scan(**request)["Count"] == 0
    dynamodb.put_item(TableName="p-s-s", Item=key | {"s": {"S": "x"}})
    assert dax.scan(**request)["Count"] == 0
    assert dax.scan(**request, ConsistentRead=True)["Count"] == 1


@pytest.mark.parametrize("write", ["put_item", "delete_item", "batch_write_item", "transact_write_items"])
def test_a_request_that_has_had_hits_is_answered_with_what_was_written_since(tables: Tables, write: str) -> None:
    tables.put(tables.dynamodb, "first")
    for _ in range(3):
        assert tables.get(tables.dax) == "first"
    item = tables.key | {"v": {"S": "second"}}
    put = {"PutRequest": {"Item": item}}
    requests: dict[str, dict[str, Any]] = {
        "put_item": {"TableName": "p-s", "Item": item},
        "delete_item": {"TableName": "p-s", "Key": tables.key},
        "batch_write_item": {"RequestItems": {"p-s": [put]}},
        "transact_write_items": {"TransactItems": [{"Put": {"TableName": "p-s", "Item": item}}]},
    }
    getattr(tables.dax, write)(**requests[write])
    for _ in range(3):
        assert tables.get(tables.dax) == (None if write == "delete_item" else "second")


def test_a_hit_consumes_nothing(tables: Tables) -> None:
    tables.put(tables.dynamodb, "first")
    request = {"TableName": "p-s", "Key": tables.key, "ReturnConsumedCapacity": "TOTAL"}
    assert tables.dax.get_item(**request)["ConsumedCapacity"]["CapacityUnits"] == 0.5
    assert "ConsumedCapacity" not in tables.dax.get_item(**request)
    batch = {"RequestItems": {"p-s": {"Keys": [dict(tables.key)]}}, "ReturnConsumedCapacity": "TOTAL"}
    assert tables.dax.batch_get_item(**batch)["ConsumedCapacity"] == [{"TableName": "p-s", "CapacityUnits": 0.0}]


def test_regions_are_kept_apart(dax_server: Any, dax: Any, dynamodb: Any, key: Key) -> None:
    from amazondax import AmazonDaxClient

    elsewhere = dax_server.client(region="eu-west-1")
    elsewhere.create_table(
        TableName="p-s",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = key | {"v": {"S": "here"}}
    dax.put_item(TableName="p-s", Item=item)
    with AmazonDaxClient(
        endpoint_url=dax_server.dax_url, region_name="eu-west-1", aws_access_key_id="AK", aws_secret_access_key="SK"
    ) as there:
        for _ in range(3):  # From the second time on the request is known as a whole.
            assert dax.get_item(TableName="p-s", Key=key) == {"Item": item}
            assert there.get_item(TableName="p-s", Key=key) == {}
