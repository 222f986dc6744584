"""The console in a real browser: what people do there, and what a page must not be able to do to them."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from testing.dynamodb.definitions import attributes, create
from testing.jedlik_process import Server, eventually
from tests.clients import browser as browsers
from tests.clients.console_pages import PATIENCE, bucket, choose, expect_saved, go, row

AXE = browsers.ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = browsers.ROOT / ".cache" / "console" / "screenshots"
NUMBER = "12345678901234567890123456789012345678"
"""38 digits, which no JavaScript number holds."""


def switch_region(page: Page, before: str, after: str) -> None:
    page.get_by_role("button", name=f"Region: {before}").click()
    page.get_by_role("menuitem", name=after, exact=True).click()


def test_the_walk_of_a_new_user(page: Page, running: Server) -> None:
    page.get_by_role("link", name="DynamoDB", exact=True).click()
    page.get_by_role("button", name="Create table").click()
    page.get_by_label("Table name").fill("music")
    page.get_by_label("Partition key", exact=True).fill("artist")
    page.get_by_role("button", name="Create table").click()
    expect(row(page, "music")).to_contain_text("Active")
    page.get_by_role("link", name="music").click()
    page.get_by_role("button", name="Explore table items").click()
    choose(page, "Actions", "Create item")
    page.get_by_label("Value: artist").fill("Nina Simone")
    for kind, value in (("String", "a text"), ("Number", NUMBER), ("Binary", "AAEC")):
        choose(page, "Add new attribute", kind)
        page.get_by_label("Attribute name").last.fill(kind)
        page.get_by_label(f"Value: {kind}", exact=True).fill(value)
    choose(page, "Add new attribute", "Boolean")
    page.get_by_label("Value: NewAttribute").locator("visible=true").click()
    choose(page, "Add new attribute", "Null")
    page.get_by_label("Attribute name").last.fill("Nothing")
    for kind, value in (("String set", "one"), ("Number set", "1"), ("Binary set", "AA=="), ("List", ""), ("Map", "")):
        choose(page, "Add new attribute", kind)
        page.get_by_label("Attribute name").last.fill(kind)
        if value:
            page.get_by_role("button", name="Insert a field").last.click()
            page.get_by_label("Value: 0").last.fill(value)
    page.get_by_role("button", name="Create item", exact=True).click()
    expect(row(page, "Nina Simone")).to_contain_text(NUMBER)
    stored = running.client().get_item(TableName="music", Key={"artist": {"S": "Nina Simone"}})["Item"]
    assert stored == {
        "artist": {"S": "Nina Simone"},
        "String": {"S": "a text"},
        "Number": {"N": NUMBER},
        "Binary": {"B": b"\x00\x01\x02"},
        "NewAttribute": {"BOOL": True},
        "Nothing": {"NULL": True},
        "String set": {"SS": ["one"]},
        "Number set": {"NS": ["1"]},
        "Binary set": {"BS": [b"\x00"]},
        "List": {"L": []},
        "Map": {"M": {}},
    }

    go(page, running, "/dynamodb/tables/music")
    page.get_by_role("tab", name="Exports and streams").click()
    page.get_by_role("button", name="Turn on").click()
    page.get_by_role("dialog").get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("button", name="Turn off")).to_be_visible()
    page.get_by_role("tab", name="Global tables").click()
    page.get_by_role("button", name="Create replica").click()
    page.get_by_role("button", name="Replication Region").click()
    page.get_by_role("option", name="eu-west-1").click()
    page.get_by_role("dialog").get_by_role("button", name="Create replica").click()
    expect(row(page, "eu-west-1")).to_contain_text("Active")

    switch_region(page, "us-east-1", "eu-west-1")
    go(page, running, "/dynamodb/tables")
    expect(row(page, "music")).to_contain_text("Active")
    go(page, running, "/dynamodb/item/music")
    page.get_by_label("Value: artist").fill("Édith Piaf")
    page.get_by_role("button", name="Create item", exact=True).click()
    expect(row(page, "Édith Piaf")).to_be_visible()
    here = running.client()
    eventually(lambda: "Item" in here.get_item(TableName="music", Key={"artist": {"S": "Édith Piaf"}}))
    switch_region(page, "eu-west-1", "us-east-1")
    go(page, running, "/dynamodb/items/music")
    expect(row(page, "Édith Piaf")).to_be_visible()


def test_items_are_queried_filtered_edited_duplicated_and_downloaded(page: Page, running: Server) -> None:
    client = running.client()
    create(
        client,
        TableName="orders",
        AttributeDefinitions=attributes(customer="S", number="N"),
        KeySchema=[
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
    )
    for number in range(20):
        item = {"customer": {"S": "Ada"}, "number": {"N": str(number)}, "sum": {"N": str(number * 10)}}
        client.put_item(TableName="orders", Item=item)
    client.put_item(TableName="orders", Item={"customer": {"S": "=1+1"}, "number": {"N": NUMBER}})

    go(page, running, "/dynamodb/items/orders")
    expect(page.get_by_text("Items returned: 21.")).to_be_visible()
    page.get_by_role("button", name="Query", exact=True).click()
    page.get_by_role("textbox", name="customer (Partition key)").fill("Ada")
    page.get_by_role("textbox", name="number (Sort key)").fill("7")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Items returned: 1.")).to_be_visible()
    page.get_by_role("textbox", name="number (Sort key)").fill("")
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Attribute name").fill("sum")
    page.get_by_role("button", name="Type").click()
    page.get_by_role("option", name="Number").click()
    page.get_by_role("button", name="Condition").last.click()
    page.get_by_role("option", name="Greater than", exact=True).click()
    page.get_by_role("textbox", name="Value", exact=True).fill("150")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Items returned: 4. Items scanned: 20.")).to_be_visible()

    page.get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="Scan", exact=True).click()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Items returned: 21.")).to_be_visible()
    with page.expect_download() as download:
        choose(page, "Actions", "Download results to CSV")
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"customer": "'=1+1", "number": NUMBER, "sum": ""} in rows  # No formula for a spreadsheet.
    with page.expect_download() as download:
        choose(page, "Actions", "Download results to JSON")
    assert {"customer": {"S": "=1+1"}, "number": {"N": NUMBER}} in json.loads(Path(download.value.path()).read_text())

    page.get_by_label("Select an item").and_(page.get_by_role("checkbox")).last.check()
    choose(page, "Actions", "Duplicate item")
    page.get_by_label("Value: customer").fill("Grace")
    page.get_by_role("button", name="Create item", exact=True).click()
    expect(row(page, "Grace")).to_be_visible()

    go(page, running, "/dynamodb/items/orders")
    page.get_by_role("link", name="Grace").click()
    choose(page, "Add new attribute", "String")
    page.get_by_label("Attribute name").last.fill("note")
    page.get_by_label("Value: note").fill("mine")
    [theirs] = [item for item in client.scan(TableName="orders")["Items"] if item["customer"]["S"] == "Grace"]
    client.put_item(TableName="orders", Item=theirs | {"note": {"S": "theirs"}})
    page.get_by_role("button", name="Save and close").click()
    expect(page.get_by_text("Somebody else has changed this item")).to_be_visible()
    page.get_by_role("button", name="Reload the item").click()
    expect(page.get_by_label("Value: note")).to_have_value("theirs")
    page.get_by_role("button", name="JSON view").click()
    text = page.get_by_role("textbox", name="JSON view")
    expect(text).to_have_value(re.compile("theirs"))
    text.fill(text.input_value().replace("theirs", "both"))
    page.get_by_label("View DynamoDB JSON").uncheck(force=True)
    expect(text).to_have_value(re.compile('"note": "both"'))
    text.fill(text.input_value().replace('"both"', NUMBER))
    page.get_by_role("button", name="Save and close").click()
    expect(row(page, "Grace")).to_contain_text(NUMBER)
    key = {name: theirs[name] for name in ("customer", "number")}
    assert client.get_item(TableName="orders", Key=key)["Item"]["note"] == {"N": NUMBER}

    row(page, "Grace").get_by_role("checkbox").check()
    choose(page, "Actions", "Delete items")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(page, "Grace")).to_have_count(0)
    assert "Item" not in client.get_item(TableName="orders", Key=key)


def test_settings_of_a_table_are_changed(page: Page, running: Server) -> None:
    client = running.client()
    go(page, running, "/dynamodb/create-table")
    page.get_by_label("Table name").fill("events")
    page.get_by_label("Partition key", exact=True).fill("id")
    page.get_by_role("textbox", name="Sort key - optional").fill("at")
    page.get_by_role("button", name="Sort key - optional: Type").click()
    page.get_by_role("option", name="Number").click()
    page.get_by_role("radio", name="Customize settings").check()
    page.get_by_role("radio", name="Provisioned").check()
    page.get_by_label("Read capacity units", exact=True).fill("7")
    page.get_by_role("button", name="Add global index").click()
    page.get_by_label("Index name").fill("by-kind")
    page.get_by_label("Partition key", exact=True).last.fill("kind")
    page.get_by_role("button", name="Add new tag").click()
    page.get_by_role("textbox", name="Key", exact=True).fill("team")
    page.get_by_role("textbox", name="Value - optional", exact=True).fill("core")
    page.get_by_role("button", name="Create table").click()
    page.get_by_role("link", name="events").click()
    expect(page.get_by_text("at (Number)")).to_be_visible()
    table = client.describe_table(TableName="events")["Table"]
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["by-kind"]

    page.get_by_role("tab", name="Indexes").click()
    page.get_by_role("button", name="Create index").click()
    page.get_by_role("dialog").get_by_label("Index name").fill("by-place")
    page.get_by_role("dialog").get_by_label("Partition key", exact=True).fill("place")
    page.get_by_role("dialog").get_by_role("button", name="Create index").click()
    expect(row(page, "by-place")).to_contain_text("Active")
    page.get_by_role("tab", name="Additional settings").click()
    page.get_by_label("TTL attribute name").fill("expires")
    ttl = page.get_by_role("button", name="Turn on")
    ttl.first.click()
    expect(page.get_by_text("expires")).to_be_visible()
    assert client.describe_time_to_live(TableName="events")["TimeToLiveDescription"]["AttributeName"] == "expires"
    ttl.last.click()
    expect(page.get_by_role("button", name="Turn off")).to_have_count(2)
    assert client.describe_table(TableName="events")["Table"]["DeletionProtectionEnabled"]
    page.get_by_role("button", name="Actions", exact=True).click()
    page.get_by_role("menuitem", name="Delete table").click()
    page.get_by_label("To confirm the deletion").fill("confirm")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("deletion protection")
    client.update_table(TableName="events", DeletionProtectionEnabled=False)
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Tables")).to_be_visible()
    expect(row(page, "events")).to_have_count(0)


def test_partiql_streams_and_requests(page: Page, running: Server) -> None:
    client = running.client()
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    create(client, TableName="log", AttributeDefinitions=attributes(p="S"), StreamSpecification=view)
    go(page, running, "/dynamodb/partiql")
    page.get_by_role("textbox", name="Statement").fill("INSERT INTO log VALUE {'p': 'one', 'n': 1}")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("The statement was run.")).to_be_visible()
    page.get_by_role("textbox", name="Statement").fill("SELEC")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("ValidationException")).to_be_visible()
    page.get_by_role("textbox", name="Statement").fill("SELECT * FROM log")
    page.get_by_role("button", name="Run").click()
    expect(row(page, "one")).to_be_visible()

    go(page, running, "/dynamodb/tables/log/streams")
    page.get_by_role("button", name="Follow the stream").click()
    deadline = time.monotonic() + 2 * PATIENCE / 1000
    number = 0
    while not row(page, "MODIFY").count():  # It follows what comes after it has found the end of the stream.
        assert time.monotonic() < deadline
        number += 1
        client.put_item(TableName="log", Item={"p": {"S": "one"}, "n": {"N": str(number)}})
        page.wait_for_timeout(200)
    page.get_by_role("button", name="Requests").click()
    drawer = page.get_by_role("complementary").filter(has_text="ExecuteStatement")
    expect(drawer.first).to_be_visible()


def test_a_table_is_backed_up_and_restored(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="kept", AttributeDefinitions=attributes(p="S"))
    client.put_item(TableName="kept", Item={"p": {"S": "one"}})
    go(page, running, "/dynamodb/tables/kept/backups")
    page.get_by_role("button", name="Create backup").click()
    page.get_by_role("dialog").get_by_label("Backup name").fill("evening")
    page.get_by_role("dialog").get_by_role("button", name="Create backup").click()
    expect(row(page, "evening")).to_contain_text("Active")
    client.delete_item(TableName="kept", Key={"p": {"S": "one"}})
    go(page, running, "/dynamodb/backups")
    row(page, "evening").get_by_role("radio").check()
    page.get_by_role("button", name="Restore").click()
    page.get_by_label("Name of the new table").fill("again")
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    expect(row(page, "again")).to_contain_text("Active")
    assert client.scan(TableName="again")["Items"] == [{"p": {"S": "one"}}]
    go(page, running, "/dynamodb/backups")
    row(page, "evening").get_by_role("radio").check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(page, "evening")).to_have_count(0)


def test_a_table_is_restored_to_a_moment(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="past", AttributeDefinitions=attributes(p="S"))
    go(page, running, "/dynamodb/tables/past/backups")
    page.get_by_role("button", name="Turn on recovery").click()
    page.get_by_role("dialog").get_by_label("Period in days").fill("3")
    page.get_by_role("dialog").get_by_role("button", name="Turn on recovery").click()
    expect(page.get_by_role("button", name="Turn off recovery")).to_be_visible()
    client.put_item(TableName="past", Item={"p": {"S": "one"}})
    written = datetime.now(UTC)

    def latest() -> datetime:
        described = client.describe_continuous_backups(TableName="past")["ContinuousBackupsDescription"]
        recovery = described["PointInTimeRecoveryDescription"]
        assert recovery["RecoveryPeriodInDays"] == 3
        found: datetime = recovery.get("LatestRestorableDateTime", datetime.min.replace(tzinfo=UTC))
        return found

    eventually(lambda: latest() > written)
    page.get_by_role("button", name="Restore to point in time").click()
    page.get_by_label("Name of the new table").fill("past-again")
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    expect(row(page, "past-again")).to_contain_text("Active")
    assert client.scan(TableName="past-again")["Items"] == [{"p": {"S": "one"}}]


def test_users_roles_and_policies_are_managed(page: Page, running: Server) -> None:
    client = running.client("iam")
    page.get_by_role("link", name="IAM", exact=True).click()
    page.get_by_role("button", name="Create user").click()
    page.get_by_role("dialog").get_by_label("Name").fill("ada")
    page.get_by_role("dialog").get_by_role("button", name="Create user").click()
    expect(row(page, "ada")).to_be_visible()

    page.get_by_role("link", name="Policies").click()
    page.get_by_role("button", name="Create policy").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Policy name").fill("readers")
    dialog.get_by_label("Policy document").fill("{")
    expect(dialog.get_by_text("JSON")).to_be_visible()
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "dynamodb:Gett*", "Resource": "x"}],
    }
    dialog.get_by_label("Policy document").fill(json.dumps(document))
    dialog.get_by_role("button", name="Create policy").click()
    expect(dialog.get_by_text("MalformedPolicyDocument")).to_be_visible()
    document["Statement"] = [{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}]
    dialog.get_by_label("Policy document").fill(json.dumps(document))
    dialog.get_by_role("button", name="Create policy").click()
    expect(dialog).to_have_count(0)
    assert "readers" in [policy["PolicyName"] for policy in client.list_policies(Scope="Local")["Policies"]]

    go(page, running, "/iam/users/ada")
    page.get_by_role("button", name="Attach policy").click()
    page.get_by_role("dialog").get_by_role("button", name="Policy name").click()
    page.get_by_role("option", name="readers").click()
    page.get_by_role("dialog").get_by_role("button", name="Attach policy").click()
    expect(row(page, "readers")).to_be_visible()
    page.get_by_role("button", name="Create access key").click()
    expect(page.get_by_text("Copy it now")).to_be_visible()
    [key] = client.list_access_keys(UserName="ada")["AccessKeyMetadata"]
    page.get_by_role("button", name=f"Deactivate {key['AccessKeyId']}").click()
    expect(row(page, key["AccessKeyId"])).to_contain_text("Inactive")
    page.get_by_role("button", name="Create inline policy").click()
    page.get_by_role("dialog").get_by_label("Policy name").fill("own")
    page.get_by_role("dialog").get_by_role("button", name="Save changes").click()
    expect(row(page, "own")).to_be_visible()
    assert client.list_user_policies(UserName="ada")["PolicyNames"] == ["own"]

    page.get_by_role("link", name="User groups").click()
    page.get_by_role("button", name="Create user group").click()
    page.get_by_role("dialog").get_by_label("Name").fill("team")
    page.get_by_role("dialog").get_by_role("button", name="Create user group").click()
    page.get_by_role("link", name="team").click()
    page.get_by_role("button", name="Users in this group").click()
    page.get_by_role("option", name="ada").click()
    page.get_by_role("button", name="Add user").click()
    expect(row(page, "ada")).to_be_visible()
    assert [group["GroupName"] for group in client.list_groups_for_user(UserName="ada")["Groups"]] == ["team"]

    page.get_by_role("link", name="Roles").click()
    page.get_by_role("button", name="Create role").click()
    page.get_by_role("dialog").get_by_label("Name").fill("reader")
    page.get_by_role("dialog").get_by_role("button", name="Create role").click()
    page.get_by_role("link", name="reader").click()
    expect(page.get_by_label("Trust policy").last).to_have_value(re.compile("sts:AssumeRole"))
    go(page, running, "/iam/users")
    row(page, "ada").get_by_role("radio").check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(page, "ada")).to_have_count(0)
    assert "ada" not in [user["UserName"] for user in client.list_users()["Users"]]


@pytest.fixture(scope="module")
def verifying(start_shared_server: Callable[..., Server]) -> Server:
    """A server that verifies signatures."""
    return start_shared_server(auth="on", workers=1)


def test_a_key_signs_in_and_stays_in_the_memory_of_the_page(browser: Browser, verifying: Server) -> None:
    server = verifying
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.url)
    page.get_by_role("tab", name="Access key").click()
    page.get_by_label("Access key ID").fill(server.access_key)
    page.get_by_label("Secret access key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("SignatureDoesNotMatch")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Secret access key").fill(server.secret_key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="DynamoDB", exact=True).click()
    expect(page.get_by_role("heading", name="Tables")).to_be_visible(timeout=PATIENCE)
    assert server.secret_key not in stored(page)
    page.reload()
    expect(page.get_by_role("tab", name="Access key")).to_be_visible(timeout=PATIENCE)
    context.close()


def stored(page: Page) -> str:
    """All that a page has put where it outlives the page."""
    kept: str = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    return kept


def enter(page: Page, account: str, user: str, password: str) -> None:
    page.get_by_label("Account ID or alias").fill(account)
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_user_signs_in_with_a_password(browser: Browser, verifying: Server) -> None:
    """A new password is chosen; what the user may not do is shown as AWS shows it; and a session has two ends."""
    first, second = "Dynamo-1861", "Soda-water-1826"

    def sign_ins() -> list[str]:
        lines = verifying.log_lines()
        return [line["message"] for line in lines if line.get("action") == "signin:ConsoleLogin"]

    before = len(sign_ins())
    iam = verifying.client("iam")
    iam.create_account_alias(AccountAlias="music")
    iam.create_user(UserName="ada")
    statement = {"Effect": "Allow", "Action": ["dynamodb:ListTables", "iam:ChangePassword"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=document)
    iam.create_login_profile(UserName="ada", Password=first, PasswordResetRequired=True)
    iam.update_login_profile(UserName="ada", MaxSigninSessionDuration=3600)
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.clock.install()
    page.goto(verifying.url)
    enter(page, "music", "ada", "wrong")
    expect(page.get_by_text("Your authentication information is incorrect")).to_be_visible(timeout=PATIENCE)
    enter(page, "music", "ada", first)
    page.get_by_label("New password", exact=True).fill(second)
    page.get_by_label("New password, once more").fill(second)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="ada @ 000000000000")).to_be_visible(timeout=PATIENCE)
    assert "ASIA" not in stored(page)

    go(page, verifying, "/iam/users")
    expect(page.get_by_text("Access denied to iam:ListUsers").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("because no identity-based policy allows").first).to_be_visible(timeout=PATIENCE)
    go(page, verifying, "/dynamodb/tables")
    expect(page.get_by_text("This Region has no tables yet.")).to_be_visible(timeout=PATIENCE)

    choose(page, "ada @ 000000000000", "Change password")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Old password").fill(second)
    dialog.get_by_label("New password", exact=True).fill(first)
    dialog.get_by_label("New password, once more").fill(first)
    dialog.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Your password was changed.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Requests").first.click()
    expect(page.get_by_text("ChangePassword")).to_be_visible(timeout=PATIENCE)
    assert first not in page.content()

    choose(page, "ada @ 000000000000", "Sign out")
    expect(page.get_by_text("You have signed out.")).to_be_visible(timeout=PATIENCE)
    enter(page, "000000000000", "ada", first)
    expect(page.get_by_role("button", name="ada @ 000000000000")).to_be_visible(timeout=PATIENCE)
    page.clock.fast_forward("02:00:00")
    expect(page.get_by_text("Your session has ended.")).to_be_visible(timeout=PATIENCE)
    expected = ["sign-in refused", "sign-in refused", "signed in", "signed in"]
    eventually(lambda: sign_ins()[before:] == expected)
    context.close()


def test_a_session_that_the_server_has_ended_leads_back_to_the_sign_in(browser: Browser, verifying: Server) -> None:
    iam = verifying.client("iam")
    iam.create_user(UserName="eve")
    iam.create_login_profile(UserName="eve", Password="Dynamo-1861")
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{verifying.url}/console/#/dynamodb/tables")
    enter(page, "000000000000", "eve", "Dynamo-1861")
    expect(page.get_by_text("Access denied to dynamodb:ListTables")).to_be_visible(timeout=PATIENCE)
    iam.delete_login_profile(UserName="eve")
    iam.delete_user(UserName="eve")

    def has_ended() -> bool:
        if page.get_by_text("Your session has ended.").is_visible():
            return True
        # The session may end, and the button be gone, at any time.
        page.get_by_role("button", name="Try again").evaluate_all("all => all.forEach(one => one.click())")
        return False

    eventually(has_ended)
    context.close()


def test_the_policies_of_a_table_and_its_stream(page: Page, running: Server) -> None:
    client = running.client()
    create(
        client,
        TableName="guarded",
        AttributeDefinitions=attributes(p="S"),
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    table = client.describe_table(TableName="guarded")["Table"]
    go(page, running, "/dynamodb/tables/guarded/permissions")
    editor = page.get_by_role("textbox", name="Policy of the table")
    editor.fill('{"Version": "2012-10-17",\n "Statement": [{"Effect": "Permit", "Action": "GetItem"}]}')
    for finding in (
        *(
            "Effect must be Allow or Deny.",
            "Principal or NotPrincipal is missing.",
            "Resource or NotResource is missing.",
        ),
        "An action has the form service:Name",
    ):
        expect(page.get_by_text(finding)).to_be_visible()
    page.get_by_role("button", name="Line 2, column 27").click()
    expect(editor).to_be_focused()
    assert editor.evaluate("field => field.selectionStart") == 52
    editor.fill('{"Version": "2012-10-17",\n "Statement": [}')
    expect(page.get_by_text("This is not JSON: expected")).to_be_visible()
    save = page.get_by_role("button", name="Save changes")
    save.first.click()
    expect(page.get_by_text("ValidationException")).to_be_visible()
    editor.fill("")
    for number in (0, 1):
        page.get_by_role("button", name="Insert an example").nth(number).click()
    for arn, number in ((table["TableArn"], 0), (table["LatestStreamArn"], 1)):
        text = page.get_by_role("textbox", name="Policy of the table" if number == 0 else "Policy of the stream")
        expect(text).to_have_value(re.compile(":role/NAME"))
        text.fill(text.input_value().replace(":role/NAME", ":root"))
        save.nth(number).click()
        expect(page.get_by_role("button", name="Delete policy").nth(number)).to_be_enabled()
        stored = client.get_resource_policy(ResourceArn=arn)
        [statement] = json.loads(stored["Policy"])["Statement"]
        assert statement["Resource"] == arn
        expect(page.get_by_text(stored["RevisionId"])).to_be_visible()
    # Somebody else changes it: what is here must not be lost, nor theirs.
    arn = table["TableArn"]
    other = client.get_resource_policy(ResourceArn=arn)["Policy"].replace("Statement1", "Theirs")
    theirs = client.put_resource_policy(ResourceArn=arn, Policy=other)["RevisionId"]
    mine = editor.input_value().replace("Statement1", "Mine")
    editor.fill(mine)
    save.first.click()
    expect(page.get_by_text("PolicyNotFoundException")).to_be_visible()
    expect(page.get_by_text("Somebody else has changed this policy")).to_be_visible()
    assert client.get_resource_policy(ResourceArn=arn)["RevisionId"] == theirs
    page.get_by_role("button", name="Refresh: Policy of the table").click()
    expect(page.get_by_text(theirs)).to_be_visible()
    expect(editor).to_have_value(mine)
    expect(save.first).to_be_disabled()
    page.get_by_role("button", name="Show what is stored").click()
    expect(editor).to_have_value(re.compile("Theirs"))
    page.get_by_role("button", name="Delete policy").first.click()
    expect(editor).to_have_value("")
    with pytest.raises(client.exceptions.PolicyNotFoundException):
        client.get_resource_policy(ResourceArn=arn)


def test_statements_are_coloured_and_errors_have_a_place(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="my-notes", AttributeDefinitions=attributes(p="S"))
    for number in range(60):
        client.put_item(TableName="my-notes", Item={"p": {"S": f"note{number:02}"}, "n": {"N": str(number)}})
    go(page, running, "/dynamodb/partiql")
    editor = page.get_by_label("Statement")
    for statement, finding, place in (
        ("SELECT * FROM my-notes", "Put this name in double quotes.", 1),
        ('SELECT * FROM "my-notes"\nWHERE p = \'x', "This text has no end", 2),
        ("SELECT * FROM \"my-notes\" WHERE p IN ['a'", "A ] is missing for this.", 1),
        ('SELEC * FROM "my-notes"', "A statement begins with one of these", 1),
    ):
        editor.fill(statement)
        expect(page.get_by_text(finding)).to_be_visible()
        expect(page.get_by_role("button", name=f"Line {place}, column")).to_be_visible()
        expect(page.locator(".editor .wrong")).not_to_have_count(0)
    editor.fill('UPDATE "my-notes" SET n = 1 WHERE n = 2')
    page.get_by_role("button", name="Run").click()
    refused = "Where clause does not contain a mandatory equality on all key attributes"
    expect(page.get_by_text(refused)).to_have_count(2)
    expect(page.locator(".editor .wrong")).to_have_text("WHERE")
    editor.fill('SELECT * FROM "my-notes"')
    expect(page.locator(".editor .keyword").first).to_have_text("SELECT")
    editor.press("Control+Enter")
    expect(page.get_by_role("heading", name="Results (60)")).to_be_visible()
    page.get_by_role("button", name="n", exact=True).first.click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("note00")
    page.get_by_role("button", name="n", exact=True).first.click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("note59")
    with page.expect_download() as downloading:
        choose(page, "Actions", "Download results to JSON")
    assert len(json.loads(downloading.value.path().read_text())) == 60
    page.reload()
    page.get_by_role("button", name="SELECT * FROM").click()
    expect(editor).to_have_value('SELECT * FROM "my-notes"')
    page.get_by_role("button", name="Clear history").click()
    expect(page.get_by_text("No statements yet")).to_be_visible()


def test_a_table_with_all_settings(page: Page, running: Server) -> None:
    go(page, running, "/dynamodb/create-table")
    page.get_by_label("Table name").fill("tournament")
    page.get_by_label("Partition key", exact=True).fill("id")
    page.get_by_text("Customize settings").click()
    page.get_by_role("button", name="Add global index").click()
    page.get_by_label("Index name").fill("by-region-and-round")
    page.get_by_label("Partition key", exact=True).last.fill("region")
    page.get_by_role("button", name="Add partition key attribute").click()
    page.get_by_label("Partition key 2", exact=True).fill("round")
    page.get_by_label("Sort key - optional", exact=True).last.fill("bracket")
    page.get_by_role("button", name="Add sort key attribute").click()
    page.get_by_label("Sort key - optional 2", exact=True).fill("match")
    page.get_by_label("Read capacity units: Most units").fill("500")
    page.get_by_label("New and old images").check()
    allow = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "dynamodb:GetItem"}
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/tournament"
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow | {"Resource": arn}]})
    page.get_by_label("Policy document").fill(document)
    page.get_by_role("button", name="Create table").click()
    expect(row(page, "tournament")).to_contain_text("Active")
    client = running.client()
    table = client.describe_table(TableName="tournament")["Table"]
    [index] = table["GlobalSecondaryIndexes"]
    assert [(one["AttributeName"], one["KeyType"]) for one in index["KeySchema"]] == [
        *(("region", "HASH"), ("round", "HASH")),
        *(("bracket", "RANGE"), ("match", "RANGE")),
    ]
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert table["OnDemandThroughput"]["MaxReadRequestUnits"] == 500
    assert json.loads(client.get_resource_policy(ResourceArn=arn)["Policy"]) == json.loads(document)


def test_policies_are_simulated(page: Page, running: Server) -> None:
    iam = running.client("iam")
    iam.create_user(UserName="simulated")
    statement = {
        "Effect": "Allow",
        "Action": "dynamodb:GetItem",
        "Resource": "*",
        "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["ada"]}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="simulated", PolicyName="own", PolicyDocument=document)
    go(page, running, "/iam/simulator")
    page.get_by_role("button", name="Run simulation").click()
    table = "arn:aws:dynamodb:us-east-1:000000000000:table/NAME"
    expect(row(page, "dynamodb:GetItem")).to_contain_text("Denied: nothing allows it")
    page.get_by_label("Resources - optional").fill(table)
    page.get_by_role("button", name="Run simulation").click()
    expect(row(page, "dynamodb:GetItem")).to_contain_text("Allowed")
    expect(row(page, "dynamodb:PutItem")).to_contain_text("Denied: nothing allows it")
    page.get_by_role("button", name="Policies of").click()
    page.get_by_role("option", name="simulated").click()
    page.get_by_role("button", name="Add the keys that the policies test").click()
    expect(page.get_by_label("Condition key 1", exact=True)).to_have_value("dynamodb:LeadingKeys")
    for value, decision in (("eve", "Denied: nothing allows it"), ("ada", "Allowed")):
        page.get_by_label("Value of condition key 1").fill(value)
        page.get_by_role("button", name="Run simulation").click()
        expect(row(page, "dynamodb:GetItem")).to_contain_text(decision)


def test_clusters_of_dax(page: Page, running: Server) -> None:
    dax = running.client("dax")
    go(page, running, "/dynamodb/dax-parameters")
    page.get_by_role("button", name="Create parameter group").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Parameter group name").fill("short")
    dialog.get_by_role("button", name="Create parameter group").click()
    row(page, "short").get_by_role("radio").check()
    page.get_by_label("Value: record-ttl-millis").fill("1000")
    page.get_by_role("button", name="Save changes").click()
    expect_saved(page.get_by_role("button", name="Save changes"))

    def ttl() -> str:
        parameters = dax.describe_parameters(ParameterGroupName="short")["Parameters"]
        [found] = [one["ParameterValue"] for one in parameters if one["ParameterName"] == "record-ttl-millis"]
        return str(found)

    assert ttl() == "1000"
    page.get_by_role("link", name="DAX clusters").click()
    page.get_by_role("button", name="Create cluster").click()
    dialog.get_by_label("Cluster name").fill("cache")
    dialog.get_by_role("button", name="Parameter group").click()
    page.get_by_role("option", name="short").click()
    dialog.get_by_role("button", name="Create cluster").click()
    expect(row(page, "cache").first).to_contain_text("Available", timeout=2 * PATIENCE)
    row(page, "cache").first.get_by_role("radio").check()
    expect(page.get_by_role("heading", name="Nodes of cache")).to_be_visible()
    page.get_by_role("button", name="Change number of nodes").click()
    dialog.get_by_label("Number of nodes").fill("2")
    dialog.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("button", name=re.compile("Reboot cache-"))).to_have_count(2, timeout=2 * PATIENCE)
    expect(row(page, "cache").first).to_contain_text("2 of 2 active", timeout=2 * PATIENCE)
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog.get_by_role("button", name="Delete").click()
    eventually(lambda: "cache" not in [one["ClusterName"] for one in dax.describe_clusters()["Clusters"]])
    expect(row(page, "cache")).to_have_count(0, timeout=2 * PATIENCE)


def test_keys_of_kms(page: Page, running: Server) -> None:
    kms = running.client("kms")
    page.get_by_role("link", name="KMS", exact=True).click()
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Alias - optional").fill("music")
    dialog.get_by_label("Description").fill("For the tables of music")
    dialog.get_by_role("button", name="Create key").click()
    expect(row(page, "alias/music")).to_be_visible()
    [alias] = [one for one in kms.list_aliases()["Aliases"] if one["AliasName"] == "alias/music"]
    key = alias["TargetKeyId"]
    page.get_by_label("New alias").fill("alias/songs")
    page.get_by_role("button", name="Add alias").click()
    expect(row(page, "alias/songs")).to_be_visible()
    expect(page.get_by_label("New alias")).to_have_value("")
    page.get_by_label("New alias").fill("alias/later")
    page.get_by_role("button", name="Delete alias/music").click()
    expect(row(page, "alias/music")).to_have_count(0)
    expect(page.get_by_label("New alias")).to_have_value("alias/later")
    page.get_by_role("button", name="Turn on rotation").click()
    expect(page.get_by_role("button", name="Turn off rotation")).to_be_visible()
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    policy = page.get_by_role("textbox", name="Key policy")
    expect(policy).to_have_value(re.compile("Statement"))
    document = json.loads(policy.input_value())
    document["Statement"][0]["Sid"] = "Changed"
    policy.fill(json.dumps(document))
    page.get_by_role("button", name="Save changes").click()
    expect_saved(page.get_by_role("button", name="Save changes"))
    assert "Changed" in kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    kms.create_grant(KeyId=key, GranteePrincipal="arn:aws:iam::000000000000:root", Operations=["Decrypt"], Name="mine")
    page.reload()
    row(page, "mine").get_by_role("button", name="Revoke").click()
    expect(row(page, "mine")).to_have_count(0)
    page.get_by_role("button", name="Disable key").click()
    expect(page.get_by_role("button", name="Enable key")).to_be_visible()
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    page.get_by_role("button", name="Schedule deletion").click()
    dialog.get_by_label("Waiting period in days").fill("7")
    dialog.get_by_role("button", name="Schedule deletion").click()
    expect(page.get_by_role("button", name="Cancel deletion")).to_be_visible()
    page.get_by_role("link", name="Keys", exact=True).click()
    expect(row(page, key)).to_contain_text("Pending deletion")


def test_a_table_is_exported(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="exported", AttributeDefinitions=attributes(p="S"))
    client.put_item(TableName="exported", Item={"p": {"S": "one"}})
    specification = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="exported", PointInTimeRecoverySpecification=specification)
    go(page, running, "/dynamodb/tables/exported/streams")
    page.get_by_role("button", name="Export to S3").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Bucket", exact=True).fill("no-such-bucket")
    dialog.get_by_role("button", name="Export to S3").click()
    expect(row(page, "no-such-bucket")).to_contain_text("Failed")
    page.get_by_role("button", name="Export to S3").click()
    dialog.get_by_label("Bucket", exact=True).fill("my-exports")
    dialog.get_by_role("button", name="Export to S3").click()
    expect(row(page, "my-exports")).to_contain_text("Completed", timeout=2 * PATIENCE)
    arn = client.describe_table(TableName="exported")["Table"]["TableArn"]
    statuses = [summary["ExportStatus"] for summary in client.list_exports(TableArn=arn)["ExportSummaries"]]
    assert sorted(statuses) == ["COMPLETED", "FAILED"]


def test_items_of_400_kilobytes(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="large", AttributeDefinitions=attributes(p="S"))
    text = "a large value " * 28_000
    client.put_item(TableName="large", Item={"p": {"S": "text"}, "t": {"S": text}})
    many = {f"attribute{number:04}": {"S": "x" * 180} for number in range(1900)}
    client.put_item(TableName="large", Item={"p": {"S": "many"}, "m": {"M": many}})
    go(page, running, "/dynamodb/items/large")
    expect(row(page, "a large value").first).to_be_visible(timeout=PATIENCE)
    row(page, "many").get_by_role("link").click()
    page.get_by_text("JSON view").click()
    expect(page.get_by_role("textbox").first).to_have_value(re.compile("attribute1899"), timeout=PATIENCE)
    go(page, running, "/dynamodb/items/large")
    row(page, "a large value").get_by_role("link").click()
    value = page.get_by_label("Value: t", exact=True)
    expect(value).to_have_value(text, timeout=PATIENCE)
    value.fill(text[:-1] + "!")
    page.get_by_role("button", name="Save and close").click()
    expect(page.get_by_text("The item was saved.")).to_be_visible(timeout=PATIENCE)
    assert client.get_item(TableName="large", Key={"p": {"S": "text"}})["Item"]["t"]["S"] == text[:-1] + "!"


def test_names_and_values_are_never_markup(page: Page, running: Server) -> None:
    client = running.client()
    evil = '<img src=x onerror="window.hacked=1">'
    create(client, TableName="evil", AttributeDefinitions=attributes(p="S"))
    client.put_item(TableName="evil", Item={"p": {"S": evil}, evil: {"S": evil}, "m": {"M": {evil: {"S": evil}}}})
    go(page, running, "/dynamodb/items/evil")
    expect(row(page, "onerror").first).to_be_visible()
    page.get_by_role("link", name="<img").click()
    expect(page.get_by_label("Attribute name").first).to_have_value(evil)
    go(page, running, "/dynamodb/tables/%3Cimg%20src%3Dx%20onerror%3D%22window.hacked%3D1%22%3E")
    expect(page.get_by_text("ValidationException")).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_no_foreign_page_frames_it_or_asks_in_its_name(browser: Browser, running: Server) -> None:
    answer = requests.get(f"{running.url}/console/", timeout=60)
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "Set-Cookie" not in answer.headers
    asked = requests.post(
        running.url,
        headers={"X-Amz-Target": "DynamoDB_20120810.ListTables", "Origin": "https://evil.example"},
        data="{}",
        timeout=60,
    )
    assert asked.status_code == 403


def test_a_frame_stays_empty(browser: Browser, running: Server) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{running.url}/healthz")
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.set_content(f'<iframe src="{running.url}/console/"></iframe>')
    context.close()


def test_a_foreign_page_signs_nobody_in(browser: Browser, verifying: Server) -> None:
    """Not even with the right password: it gets no answer, and the server none to give."""
    iam = verifying.client("iam")
    iam.create_user(UserName="victim")
    iam.create_login_profile(UserName="victim", Password="Dynamo-1861")
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.route("http://evil.localhost/**", lambda route: route.fulfill(content_type="text/html", body="<p>evil"))
    page.goto("http://evil.localhost/")
    ask = """async ([url, mode, type]) => {
        const body = JSON.stringify({ account: "000000000000", user: "victim", password: "Dynamo-1861" });
        try {
            const answer = await fetch(url, { method: "POST", mode, headers: { "Content-Type": type }, body });
            return answer.type === "opaque" ? "opaque" : await answer.text();
        } catch (error) {
            return "blocked";
        }
    }"""
    for mode, kind in (("cors", "application/json"), ("cors", "text/plain"), ("no-cors", "text/plain")):
        found = page.evaluate(ask, [f"{verifying.url}/console/sign-in", mode, kind])
        assert found in ("blocked", "opaque")
    lines = [line for line in verifying.log_lines() if line["message"] == "signed in"]
    assert not [line for line in lines if line["caller"].endswith("user/victim")]
    context.close()


PAGES = {
    "home": "/",
    "tables": "/dynamodb/tables",
    "create-table": "/dynamodb/create-table",
    "overview": "/dynamodb/tables/shown",
    "indexes": "/dynamodb/tables/shown/indexes",
    "global-tables": "/dynamodb/tables/spread/global",
    "table-backups": "/dynamodb/tables/shown/backups",
    "streams": "/dynamodb/tables/shown/streams",
    "permissions": "/dynamodb/tables/shown/permissions",
    "settings": "/dynamodb/tables/shown/settings",
    "items": "/dynamodb/items/shown",
    "item": "/dynamodb/item/shown?mode=edit&key=%7B%22artist%22%3A%7B%22S%22%3A%22Nina%20Simone%22%7D%7D",
    "partiql": "/dynamodb/partiql",
    "backups": "/dynamodb/backups",
    "exports": "/dynamodb/exports",
    "imports": "/dynamodb/imports",
    "import-table": "/dynamodb/import-table",
    "bulk-puts": "/dynamodb/bulk",
    "dax": "/dynamodb/dax",
    "dax-parameters": "/dynamodb/dax-parameters",
    "groups": "/iam/groups",
    "users": "/iam/users",
    "roles": "/iam/roles",
    "policies": "/iam/policies",
    "group": "/iam/groups/shown",
    "user": "/iam/users/shown",
    "role": "/iam/roles/shown",
    "policy": "/iam/policies/arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAdministratorAccess",
    "simulator": "/iam/simulator",
    "keys": "/kms/keys",
    "key": "/kms/keys/alias%2Fshown",
}
"""Each page of the console, by the name of its pictures."""


def show(running: Server) -> None:
    """Make something that the pages can show."""
    client, iam = running.client(), running.client("iam")
    create(
        client,
        TableName="shown",
        AttributeDefinitions=attributes(artist="S", year="N"),
        KeySchema=[{"AttributeName": "artist", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-year",
                "KeySchema": [{"AttributeName": "year", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    for artist, song, year in (
        ("Nina Simone", "Sinnerman", 1965),
        ("Miriam Makeba", "Pata Pata", 1967),
        ("Dave Brubeck", "Take Five", 1959),
    ):
        item = {"artist": {"S": artist}, "songs": {"SS": [song]}, "year": {"N": str(year)}, "live": {"BOOL": False}}
        client.put_item(TableName="shown", Item=item)
    client.create_backup(TableName="shown", BackupName="before-the-move")
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    create(client, TableName="spread", AttributeDefinitions=attributes(p="S"), StreamSpecification=view)
    replica = {"RegionName": "eu-west-1", "TableClassOverride": "STANDARD_INFREQUENT_ACCESS"}
    client.update_table(TableName="spread", ReplicaUpdates=[{"Create": replica}])
    eventually(lambda: client.describe_table(TableName="spread")["Table"]["TableStatus"] == "ACTIVE")
    arn = client.describe_table(TableName="shown")["Table"]["TableArn"]
    allow = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}}
    allow |= {"Sid": "Readers", "Action": "dynamodb:GetItem", "Resource": arn}
    guarding = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    client.put_resource_policy(ResourceArn=arn, Policy=guarding)
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trusted = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="shown", AssumeRolePolicyDocument=trusted)
    iam.create_group(GroupName="shown")
    iam.create_user(UserName="shown")
    iam.create_login_profile(UserName="shown", Password="Dynamo-1861")
    iam.add_user_to_group(GroupName="shown", UserName="shown")
    key = running.client("kms").create_key(Description="For tables")["KeyMetadata"]["KeyId"]
    running.client("kms").create_alias(AliasName="alias/shown", TargetKeyId=key)
    dax = running.client("dax")
    role_arn = "arn:aws:iam::000000000000:role/shown"
    dax.create_cluster(ClusterName="shown", NodeType="dax.t3.small", ReplicationFactor=1, IamRoleArn=role_arn)
    eventually(lambda: [one["Status"] for one in dax.describe_clusters()["Clusters"]] == ["available"])
    show_transfers(running)


def show_transfers(running: Server) -> None:
    """An export, an import and a bulk put."""
    client = running.client()
    folder = bucket(running) / "songs"
    folder.mkdir(parents=True)
    (folder / "songs.json").write_text(
        '{"Item": {"artist": {"S": "Nina Simone"}}}\n{"Item": {"song": {"S": "Sinnerman"}}}\n'
    )
    source = {"S3Bucket": "my-exports", "S3KeyPrefix": "songs/"}
    output = {"S3Bucket": "my-exports", "S3KeyPrefix": "reports", "OutputType": ["ERROR"]}
    keys = [{"AttributeName": "artist", "KeyType": "HASH"}]
    made = {"TableName": "imported", "AttributeDefinitions": attributes(artist="S"), "KeySchema": keys}
    client.import_table(
        S3BucketSource=source,
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters=made | {"BillingMode": "PAY_PER_REQUEST"},
    )
    configured = source | {"InputFormat": "DYNAMODB_JSON"}
    client.start_bulk_put_items(TableName="shown", InputS3Configuration=configured, OutputS3Configuration=output)
    recovery = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="shown", PointInTimeRecoverySpecification=recovery)
    arn = client.describe_table(TableName="shown")["Table"]["TableArn"]
    client.export_table_to_point_in_time(TableArn=arn, S3Bucket="my-exports", S3Prefix="exports")

    def all_ended() -> bool:
        imports = [one["ImportStatus"] for one in client.list_imports()["ImportSummaryList"]]
        puts = [one["BulkOperationStatus"] for one in client.list_bulk_operations()["BulkOperationsSummaryList"]]
        exports = [one["ExportStatus"] for one in client.list_exports(TableArn=arn)["ExportSummaries"]]
        return "IN_PROGRESS" not in imports + puts + exports

    eventually(all_ended)


def serious_findings(page: Page, name: str, mode: str) -> list[str]:
    """What axe finds that keeps people out. A picture of the page is kept."""
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    page.screenshot(path=SCREENSHOTS / f"{name}-{mode}.png", animations="disabled", caret="hide")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")["violations"]
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]


TALLEST = 80
"""Pixels of a button whose words are not set one under the other."""


def narrow_findings(page: Page) -> list[str]:
    """What does not fit into a narrow window: the page scrolls to the side, or a button is squeezed."""
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    tall = page.evaluate(
        """most => [...document.querySelectorAll("main button")]
            .filter(one => one.getBoundingClientRect().height > most && !one.querySelector("input"))
            .map(one => one.textContent)""",
        TALLEST,
    )
    return [*([f"{width} pixels too wide"] if width > 0 else []), *tall]


def test_every_page_is_for_everybody_light_and_dark(page: Page, running: Server) -> None:
    """axe finds nothing serious or critical, a picture of each page is kept, and each fits into a narrow window."""
    show(running)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    findings: dict[str, list[str]] = {}
    for mode in ("Dark mode", "Light mode"):
        go(page, running, "/")
        page.get_by_role("button", name=mode).click()
        short = mode.partition(" ")[0].lower()
        for name, path in PAGES.items():
            go(page, running, path)
            serious = serious_findings(page, name, short)
            if serious:
                findings[f"{name}, {mode}"] = serious
    page.set_viewport_size({"width": 390, "height": 844})
    for name, path in PAGES.items():
        go(page, running, path)
        narrow = narrow_findings(page)
        if narrow:
            findings[f"{name}, narrow"] = narrow
    assert findings == {}


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_sign_in_is_for_everybody(browser: Browser, verifying: Server, mode: Literal["light", "dark"]) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme=mode)
    page = context.new_page()
    page.goto(f"{verifying.url}/console/")
    assert serious_findings(page, "sign-in", mode) == []
    page.get_by_role("tab", name="Access key").click()
    assert serious_findings(page, "sign-in-key", mode) == []
    context.close()


MOST_BYTES = 1_500_000


def test_its_size(page: Page, running: Server) -> None:
    """What comes over the wire for the first page, and in all. The time is shown alone: a busy machine has any."""
    built = browsers.ROOT / "src" / "jedlik" / "console" / "built"
    whole = sum(path.stat().st_size for path in built.rglob("*.gz"))
    page.goto("about:blank")
    page.goto(f"{running.url}/console/")
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').reduce((sum, one) => sum + one.encodedBodySize, 0)"
    )
    print(f"in all {whole} bytes; for the first page {loaded}, painted after {painted:.0f} ms")
    assert loaded <= whole <= MOST_BYTES
