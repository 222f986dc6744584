"""Items in the console: what the editors keep, and what scans, queries and columns show."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from playwright.sync_api import Page, expect

from testing.dynamodb.definitions import attributes, create
from testing.jedlik_process import Server
from tests.clients.console_pages import choose, go, row

NUMBERS = ("12345678901234567890123456789012345678", "12345678901234567890123456789012345679", "-1E-120", "9.9E+125")
"""The first two are one number to JavaScript."""


def test_both_editors_keep_all_types(page: Page, running: Server) -> None:
    """Each of them saves an item of which only a number was changed, and all else is as before, byte by byte."""
    client = running.client()
    create(client, TableName="typed", AttributeDefinitions=attributes(p="S"))
    item = {
        "p": {"S": "one"},
        "lines": {"S": "first\nsecond\n\tthird"},
        "windows": {"S": "first\r\nsecond\r\n"},
        "odd": {"S": ' "quoted" \\ \u0000 \u2028 \U0001f600 '},
        "count": {"N": "1"},
        "bytes": {"B": b"\x00\xff"},
        "texts": {"SS": ["a", "b"]},
        "numbers": {"NS": list(NUMBERS[:2])},
        "blobs": {"BS": [b"\x01", b"\x02"]},
        "deep": {
            "M": {"list": {"L": [{"M": {"set": {"SS": ["x"]}}}, {"B": b"\x03"}, {"NULL": True}, {"BOOL": False}]}}
        },
        "empty": {"L": []},
        "constructor": {"S": "an ordinary name"},
        "__proto__": {"S": "another, whose value the SDK loses"},
    }
    client.put_item(TableName="typed", Item=item)
    client.put_item(TableName="typed", Item={"p": {"S": "without most attributes"}})

    def stored() -> dict[str, object]:
        found: dict[str, object] = client.get_item(TableName="typed", Key={"p": {"S": "one"}})["Item"]
        for name in ("texts", "numbers", "blobs"):
            [(kind, values)] = found[name].items()  # type: ignore[attr-defined]
            found[name] = {kind: sorted(values)}
        return found

    def save(count: str) -> None:
        page.get_by_role("button", name="Save and close").click()
        expect(page.get_by_text("The item was saved.").first).to_be_visible()
        expect(row(page, "an ordinary name")).to_contain_text(count)
        assert stored() == item | {"count": {"N": count}}

    go(page, running, "/dynamodb/items/typed")
    expect(row(page, "without most attributes")).to_be_visible()
    for count, json_of in (("2", None), ("3", "DynamoDB"), ("4", "plain")):
        page.get_by_role("link", name="one", exact=True).click()
        if json_of is None:
            page.get_by_label("Value: count").fill(count)
        else:
            page.get_by_role("button", name="JSON view").click()
            text = page.get_by_role("textbox", name="JSON view")
            expect(text).to_have_value(re.compile('"N": '))
            if json_of == "plain":
                page.get_by_label("View DynamoDB JSON").uncheck(force=True)
                expect(text).to_have_value(re.compile('"count": 3'))
                text.fill(text.input_value().replace('"count": 3', f'"count": {count}'))
            else:
                text.fill(text.input_value().replace('"N": "2"', f'"N": "{count}"'))
        save(count)

    page.get_by_role("link", name="one", exact=True).click()
    field = page.get_by_label("Value: windows")
    field.fill("first\nsecond\nthird")
    page.get_by_role("button", name="Save and close").click()
    expect(page.get_by_role("heading", name="Items returned (2)")).to_be_visible()
    assert stored()["windows"] == {"S": "first\r\nsecond\r\nthird"}


def test_numbers_are_sorted_by_all_their_digits(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="digits", AttributeDefinitions=attributes(p="S"))
    for number in NUMBERS:
        client.put_item(TableName="digits", Item={"p": {"S": number}, "n": {"N": number}})
    go(page, running, "/dynamodb/items/digits")
    expect(page.get_by_text("Items returned: 4.")).to_be_visible()
    page.get_by_role("button", name="n", exact=True).first.click()

    shown = page.get_by_role("row").get_by_role("link")
    expect(shown).to_have_text([NUMBERS[2], NUMBERS[0], NUMBERS[1], NUMBERS[3]])
    page.get_by_role("button", name="n", exact=True).first.click()
    expect(shown).to_have_text([NUMBERS[3], NUMBERS[1], NUMBERS[0], NUMBERS[2]])


def test_an_index_with_several_keys_is_queried_and_columns_are_remembered(page: Page, running: Server) -> None:
    client = running.client()
    create(
        client,
        TableName="matches",
        AttributeDefinitions=attributes(id="S", region="S", round="N", bracket="S", match="N"),
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-round",
                "KeySchema": [
                    *({"AttributeName": name, "KeyType": "HASH"} for name in ("region", "round")),
                    *({"AttributeName": name, "KeyType": "RANGE"} for name in ("bracket", "match")),
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    for number in range(12):
        item: dict[str, dict[str, object]] = {"id": {"S": f"m{number}"}, "region": {"S": "north"}, "round": {"N": "1"}}
        item |= {"bracket": {"S": "upper" if number % 2 else "lower"}, "match": {"N": str(number)}}
        if number == 7:
            item["note"] = {"NULL": True}
        client.put_item(TableName="matches", Item=item)
    go(page, running, "/dynamodb/items/matches")
    expect(page.get_by_text("Items returned: 12.")).to_be_visible()
    page.get_by_role("button", name="Query", exact=True).click()
    page.get_by_role("button", name="Table or index").click()
    page.get_by_role("option", name="Index - by-round").click()
    page.get_by_role("textbox", name="region (Partition key)").fill("north")
    page.get_by_role("textbox", name="round (Partition key)").fill("1")
    page.get_by_role("textbox", name="bracket (Sort key)").fill("upper")
    page.get_by_role("button", name="Condition").last.click()
    page.get_by_role("option", name="Greater than", exact=True).click()
    page.get_by_role("textbox", name="match (Sort key)").fill("4")
    page.get_by_label("Sort descending").check()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Items returned: 4. Items scanned: 4.")).to_be_visible()
    expect(page.get_by_role("row").nth(1)).to_contain_text("m11")

    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.headers.get("x-amz-target", "").rpartition(".")[2]))
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Attribute name").fill("note")
    page.get_by_role("button", name="Type").click()
    page.get_by_role("option", name="Null").click()
    assert asked == []  # A form that is not complete asks for nothing.
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Items returned: 1. Items scanned: 4.")).to_be_visible()
    page.get_by_role("button", name="Remove filter").click()
    page.get_by_role("button", name="Scan", exact=True).click()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Items returned: 12.")).to_be_visible()

    page.get_by_role("button", name="Preferences").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("checkbox", name="round").uncheck(force=True)
    dialog.get_by_label("10 items").check()
    dialog.get_by_role("button", name="Save changes").click()
    page.reload()
    expect(page.get_by_role("row")).to_have_count(11)
    expect(page.get_by_role("columnheader", name="round")).to_have_count(0)
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_role("row")).to_have_count(3)

    page.get_by_role("checkbox", name="Select all items").check(force=True)
    page.get_by_role("button", name="Previous page").click()
    page.get_by_role("checkbox", name="Select all items").check(force=True)
    choose(page, "Actions", "Delete items")
    expect(dialog).to_contain_text("Delete 12 items")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Items returned: 0.")).to_be_visible()
    assert client.scan(TableName="matches")["Count"] == 0
    page.get_by_role("button", name="Actions", exact=True).click()
    expect(page.get_by_role("menuitem", name="Delete items")).to_be_disabled()  # Nothing is selected any more.


def test_more_items_than_fit_in_a_page_of_a_scan(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="long", AttributeDefinitions=attributes(p="S"))
    for start in range(0, 350, 25):
        puts = [{"PutRequest": {"Item": {"p": {"S": f"{number:03}"}}}} for number in range(start, start + 25)]
        client.batch_write_item(RequestItems={"long": puts})
    go(page, running, "/dynamodb/items/long")
    expect(page.get_by_text("Items returned: 300.")).to_be_visible()
    # The items that are shown were asked for without this filter.
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Attribute name").fill("p")
    page.get_by_role("textbox", name="Value", exact=True).fill("nothing")
    page.get_by_role("button", name="Retrieve next page").click()
    expect(page.get_by_text("Items returned: 350. Items scanned: 350.")).to_be_visible()
    expect(page.get_by_role("button", name="Retrieve next page")).to_have_count(0)


def test_a_request_of_the_page_is_made_with_the_cli(page: Page, running: Server) -> None:
    """The command that the page gives out does what the page has done, with quotes and all."""
    client = running.client()
    create(client, TableName="told", AttributeDefinitions=attributes(p="S"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    go(page, running, "/dynamodb/item/told")
    page.get_by_label("Value: p").fill("it's")
    choose(page, "Add new attribute", "Number")
    page.get_by_label("Attribute name").last.fill("n")
    page.get_by_label("Value: n").fill(NUMBERS[0])
    page.get_by_role("button", name="Create item", exact=True).click()
    expect(row(page, "it's")).to_be_visible()
    client.delete_item(TableName="told", Key={"p": {"S": "it's"}})
    page.get_by_role("button", name="Requests").click()
    made = (
        page.locator("div")
        .filter(has_text="PutItem")
        .filter(has=page.get_by_role("button", name="Copy as CLI command"))
    )
    made.last.get_by_role("button", name="Copy as CLI command").first.click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    command: str = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith("aws dynamodb put-item ")
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "PATH": f"{sys.prefix}/bin:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", command], env=keys, check=True, timeout=60)
    assert client.scan(TableName="told")["Items"] == [{"p": {"S": "it's"}, "n": {"N": NUMBERS[0]}}]
    assert (
        json.loads(command[command.index("{") : command.rindex("}") + 1].replace("'\\''", "'"))["TableName"] == "told"
    )
