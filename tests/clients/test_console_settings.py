"""All settings that CreateTable and UpdateTable take, made and changed in the console."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, Route, expect

from testing.dynamodb.definitions import attributes, create
from testing.jedlik_process import Server, eventually
from tests.clients.console_pages import expect_saved, go, row


def fill(page: Page, **values: str) -> None:
    """Fill fields by their labels, in which an underscore stands for a space."""
    for label, value in values.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)


def test_a_table_with_provisioned_capacity_of_each_index(page: Page, running: Server) -> None:
    go(page, running, "/dynamodb/create-table")
    fill(page, Table_name="measured", Partition_key="id")
    page.get_by_label("Sort key - optional", exact=True).fill("at")
    page.get_by_text("Customize settings").click()
    page.get_by_label("DynamoDB Standard-IA").check()
    page.get_by_label("Provisioned", exact=True).check()
    page.get_by_label("Read capacity units", exact=True).fill("7")
    page.get_by_label("Warm read units a second - optional", exact=True).fill("900")
    for name in ("by-kind", "by-place"):
        page.get_by_role("button", name="Add global index").click()
        page.get_by_label("Index name").last.fill(name)
        page.get_by_label("Partition key", exact=True).last.fill(name.removeprefix("by-"))
    page.get_by_label("The same capacity as the table").last.uncheck()
    page.get_by_label("Index: Read capacity units").fill("3")
    page.get_by_label("Index: Write capacity units").fill("2")
    page.get_by_label("Index: Warm write units a second - optional").fill("40")
    page.get_by_role("button", name="Add local index").click()
    page.get_by_label("Index name").last.fill("by-size")
    page.get_by_label("Sort key", exact=True).fill("size")
    page.get_by_label("Turn on deletion protection").check()
    page.get_by_role("button", name="Create table").click()
    expect(row(page, "measured")).to_contain_text("Active")
    table = running.client().describe_table(TableName="measured")["Table"]
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    assert table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
    assert table["WarmThroughput"]["ReadUnitsPerSecond"] == 900
    assert table["DeletionProtectionEnabled"]
    assert [index["IndexName"] for index in table["LocalSecondaryIndexes"]] == ["by-size"]
    assert [indexes[name]["ProvisionedThroughput"]["ReadCapacityUnits"] for name in ("by-kind", "by-place")] == [7, 3]
    assert indexes["by-kind"]["WarmThroughput"]["ReadUnitsPerSecond"] == 900
    assert indexes["by-place"]["WarmThroughput"]["WriteUnitsPerSecond"] == 40


def create_provisioned(client: Any, name: str, **more: Any) -> None:
    """Create a table with provisioned capacity and an index: 5 units of each kind for each of them."""
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    create(
        client,
        TableName=name,
        AttributeDefinitions=attributes(p="S", k="S"),
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        BillingMode="PROVISIONED",
        ProvisionedThroughput=units,
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-k",
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": units,
            }
        ],
        **more,
    )


def test_the_capacity_of_a_table_and_its_indexes_is_changed(page: Page, running: Server) -> None:
    client = running.client()
    create_provisioned(client, "busy")

    def table() -> dict[str, Any]:
        found: dict[str, Any] = client.describe_table(TableName="busy")["Table"]
        return found

    def index() -> dict[str, Any]:
        [found] = client.describe_table(TableName="busy")["Table"]["GlobalSecondaryIndexes"]
        return dict(found)

    go(page, running, "/dynamodb/tables/busy/settings")
    save = page.get_by_role("button", name="Save: Read/write capacity")
    expect_saved(save)
    page.get_by_label("by-k: Read capacity units").fill("9")
    save.click()
    expect_saved(save)
    assert index()["ProvisionedThroughput"]["ReadCapacityUnits"] == 9
    page.get_by_label("On-demand", exact=True).check()
    page.get_by_label("Read capacity units: Most units a second - optional", exact=True).fill("800")
    page.get_by_label("by-k: Write capacity units: Most units a second - optional").fill("70")
    save.click()
    expect_saved(save)
    assert index()["OnDemandThroughput"] == {"MaxWriteRequestUnits": 70}
    assert table()["OnDemandThroughput"] == {"MaxReadRequestUnits": 800}
    page.get_by_label("Read capacity units: Most units a second - optional", exact=True).fill("")
    save.click()
    expect_saved(save)
    assert not table().get("OnDemandThroughput")

    warm = page.get_by_role("button", name="Save: Warm throughput")
    expect_saved(warm)
    page.get_by_label("Warm read units a second - optional", exact=True).fill("20000")
    page.get_by_label("by-k: Warm write units a second - optional").fill("9000")
    warm.click()
    expect_saved(warm)
    assert index()["WarmThroughput"]["WriteUnitsPerSecond"] == 9000
    assert table()["WarmThroughput"]["ReadUnitsPerSecond"] == 20000
    page.get_by_label("Warm read units a second - optional", exact=True).fill("19000")
    warm.click()
    expect(page.get_by_text("decreasing WarmThroughput is not supported")).to_be_visible()

    page.get_by_label("DynamoDB Standard-IA").check()
    page.get_by_role("button", name="Save: Table class").click()
    expect_saved(page.get_by_role("button", name="Save: Table class"))
    assert table()["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"


def test_a_save_keeps_what_is_typed_into_other_forms(page: Page, running: Server) -> None:
    """The page is loaded again after each save, with what somebody else has changed meanwhile; typed text stays."""
    client = running.client()
    create_provisioned(client, "typed")
    go(page, running, "/dynamodb/tables/typed/settings")
    warm_reads = page.get_by_label("Warm read units a second - optional", exact=True)
    warm_writes = page.get_by_label("Warm write units a second - optional", exact=True)
    warm_reads.fill("30000")
    page.get_by_label("by-k: Warm write units a second - optional").fill("9500")
    page.get_by_label("DynamoDB Standard-IA").check()
    page.get_by_label("AWS managed key").check()
    page.get_by_role("button", name="Add new tag").click()
    page.get_by_role("textbox", name="Key", exact=True).fill("team")
    client.update_table(TableName="typed", WarmThroughput={"WriteUnitsPerSecond": 7000})
    eventually(lambda: client.describe_table(TableName="typed")["Table"]["TableStatus"] == "ACTIVE")

    save = page.get_by_role("button", name="Save: Read/write capacity")
    page.get_by_label("On-demand", exact=True).check()
    page.get_by_label("Read capacity units: Most units a second - optional", exact=True).fill("800")
    save.click()
    expect_saved(save)
    expect(page.get_by_label("Read capacity units: Most units a second - optional", exact=True)).to_have_value("800")
    expect(warm_reads).to_have_value("30000")
    expect(page.get_by_label("by-k: Warm write units a second - optional")).to_have_value("9500")
    expect(warm_writes).to_have_value("7000")
    expect(page.get_by_label("DynamoDB Standard-IA")).to_be_checked()
    expect(page.get_by_label("AWS managed key")).to_be_checked()
    expect(page.get_by_role("textbox", name="Key", exact=True)).to_have_value("team")
    warm = page.get_by_role("button", name="Save: Warm throughput")
    warm.click()
    expect_saved(warm)
    described = client.describe_table(TableName="typed")["Table"]
    assert described["WarmThroughput"]["ReadUnitsPerSecond"] == 30000
    assert described["WarmThroughput"]["WriteUnitsPerSecond"] == 7000


def test_the_key_of_a_table_is_chosen(page: Page, running: Server) -> None:
    """By its alias, when the table is created; later it goes back to DynamoDB's own."""
    client, kms = running.client(), running.client("kms")
    metadata = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/chosen", TargetKeyId=metadata["KeyId"])
    go(page, running, "/dynamodb/create-table")
    fill(page, Table_name="sealed", Partition_key="id")
    page.get_by_text("Customize settings").click()
    page.get_by_label("A key of this account").check()
    asked = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": metadata["Arn"]}
    page.get_by_label("KMS key").fill("alias/chosen")
    page.get_by_role("option", name="alias/chosen arn:").click()
    with page.expect_request(lambda one: one.headers.get("x-amz-target", "").endswith(".CreateTable")) as sent:
        page.get_by_role("button", name="Create table").click()
    assert json.loads(sent.value.post_data or "")["SSESpecification"] == asked
    expect(row(page, "sealed")).to_contain_text("Active")
    described = client.describe_table(TableName="sealed")["Table"]["SSEDescription"]
    assert described["KMSMasterKeyArn"] == metadata["Arn"]

    go(page, running, "/dynamodb/tables/sealed/settings")
    save = page.get_by_role("button", name="Save: Encryption at rest")
    expect(page.get_by_label("KMS key")).to_have_value(metadata["Arn"])
    expect(save).to_be_disabled()
    page.get_by_label("Owned by DynamoDB").check()
    save.click()
    eventually(
        lambda: "KMSMasterKeyArn" not in client.describe_table(TableName="sealed")["Table"].get("SSEDescription", {})
    )


def test_a_replica_has_settings_of_its_own(page: Page, running: Server) -> None:
    """From its creation, and changed, and as the table has them again; with provisioned capacity and on demand."""
    client = running.client()
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    create_provisioned(client, "spread", StreamSpecification=stream)

    def replica() -> dict[str, Any]:
        [found] = client.describe_table(TableName="spread")["Table"]["Replicas"]
        return dict(found)

    def index() -> dict[str, Any]:
        [found] = replica()["GlobalSecondaryIndexes"]
        return dict(found)

    dialog = page.get_by_role("dialog")
    save = dialog.get_by_role("button", name="Save changes")

    def edit() -> None:
        page.get_by_role("button", name="Edit settings").click()
        expect(save).to_be_disabled()

    def saved() -> None:
        save.click()
        expect(dialog).to_have_count(0)
        eventually(lambda: client.describe_table(TableName="spread")["Table"]["TableStatus"] == "ACTIVE")

    go(page, running, "/dynamodb/tables/spread/global")
    page.get_by_role("button", name="Create replica").click()
    page.get_by_role("button", name="Replication Region").click()
    page.get_by_role("option", name="eu-west-1").click()
    dialog.get_by_text("Settings of the replica").click()
    dialog.get_by_label("by-k: Read capacity units").fill("8")
    dialog.get_by_role("button", name="Create replica").click()
    expect(row(page, "eu-west-1")).to_contain_text("Active")
    expect(row(page, "eu-west-1")).to_contain_text("by-k: 8")
    assert index()["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 8}

    row(page, "eu-west-1").get_by_role("radio").check()
    edit()
    dialog.get_by_label("DynamoDB Standard-IA").check()
    dialog.get_by_label("Read capacity units", exact=True).fill("7")
    dialog.get_by_label("by-k: Read capacity units").fill("")
    saved()
    expect(row(page, "eu-west-1")).to_contain_text("DynamoDB Standard-IA")
    assert replica()["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 7}
    assert replica()["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert "ProvisionedThroughputOverride" not in index()

    edit()
    dialog.get_by_label("Read capacity units", exact=True).fill("")
    saved()
    expect(row(page, "eu-west-1")).to_contain_text("As this table")
    assert "ProvisionedThroughputOverride" not in replica()
    client.update_table(TableName="spread", BillingMode="PAY_PER_REQUEST")
    eventually(lambda: client.describe_table(TableName="spread")["Table"]["TableStatus"] == "ACTIVE")
    page.reload()
    row(page, "eu-west-1").get_by_role("radio").check()
    edit()
    dialog.get_by_label("Most read units a second", exact=True).fill("900")
    dialog.get_by_label("by-k: Most read units a second").fill("70")
    saved()
    expect(row(page, "eu-west-1")).to_contain_text("900, by-k: 70")
    assert replica()["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 900}
    assert index()["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 70}


def test_a_replica_is_encrypted_with_a_key_of_its_region(page: Page, running: Server) -> None:
    client = running.client()
    keys = {region: running.client("kms", region) for region in ("us-east-1", "eu-west-1")}
    arns = {region: kms.create_key()["KeyMetadata"]["Arn"] for region, kms in keys.items()}
    sealed = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": arns["us-east-1"]}
    create(client, TableName="guarded", AttributeDefinitions=attributes(p="S"), SSESpecification=sealed)
    go(page, running, "/dynamodb/tables/guarded/global")
    page.get_by_role("button", name="Create replica").click()
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Replication Region").click()
    page.get_by_role("option", name="eu-west-1").click()
    submit = dialog.get_by_role("button", name="Create replica")
    dialog.get_by_label("KMS key").fill("alias/of-eu-west-1")
    page.get_by_role("button", name="Replication Region").click()
    page.get_by_role("option", name="us-west-2").click()
    expect(dialog.get_by_label("KMS key")).to_have_value("")  # A key is of one Region.
    page.get_by_role("button", name="Replication Region").click()
    page.get_by_role("option", name="eu-west-1").click()
    expect(submit).to_be_disabled()
    dialog.get_by_label("KMS key").fill("arn:aws")
    page.get_by_role("option", name=arns["eu-west-1"]).first.click()
    submit.click()
    expect(row(page, "eu-west-1")).to_contain_text("Active")
    expect(row(page, "eu-west-1")).to_contain_text(arns["eu-west-1"])
    there = running.client(region="eu-west-1").describe_table(TableName="guarded")["Table"]
    assert there["SSEDescription"]["KMSMasterKeyArn"] == arns["eu-west-1"]


def test_a_replica_becomes_a_table_of_its_own(page: Page, running: Server) -> None:
    client, there = running.client(), running.client(region="eu-west-1")
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    create(client, TableName="parted", AttributeDefinitions=attributes(p="S"), StreamSpecification=view)
    client.update_table(TableName="parted", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    go(page, running, "/dynamodb/tables/parted/global")
    expect(row(page, "eu-west-1")).to_contain_text("Active")
    disassociate = page.get_by_role("button", name="Disassociate", exact=True)
    expect(disassociate).to_be_disabled()
    page.get_by_role("button", name="Turn off disassociation protection").click()
    expect(page.get_by_role("button", name="Turn on disassociation protection")).to_be_visible()
    disassociate.click()
    page.get_by_role("dialog").get_by_role("button", name="Disassociate").click()
    expect(page.get_by_text("No replicas")).to_be_visible()
    expect(disassociate).to_have_count(0)

    def is_replica(one: Any) -> bool:
        return "Replicas" in one.describe_table(TableName="parted")["Table"]

    eventually(lambda: not is_replica(client) and not is_replica(there))


def test_a_key_is_disabled_and_enabled_again(page: Page, running: Server) -> None:
    """The table's page names the reason and leads to the key; with the key enabled, the table is used again."""
    client, kms = running.client(), running.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    sealed = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    create(client, TableName="locked", AttributeDefinitions=attributes(p="S"), SSESpecification=sealed)
    client.put_item(TableName="locked", Item={"p": {"S": "kept"}})

    def status() -> str:
        return str(client.describe_table(TableName="locked")["Table"]["TableStatus"])

    kms.disable_key(KeyId=key)
    eventually(lambda: status() == "INACCESSIBLE_ENCRYPTION_CREDENTIALS")
    go(page, running, "/dynamodb/tables")
    expect(row(page, "locked")).to_contain_text("Inaccessible encryption credentials")
    go(page, running, "/dynamodb/items/locked")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("DisabledException").first).to_be_visible()
    go(page, running, "/dynamodb/tables/locked/overview")
    expect(page.get_by_text("The key of this table cannot be used")).to_be_visible()
    expect(page.get_by_text("Enable the key, or let DynamoDB use it again")).to_be_visible()
    page.get_by_role("link", name="Show the key").click()
    page.get_by_role("button", name="Enable key").click()
    expect(page.get_by_role("button", name="Disable key")).to_be_visible()
    eventually(lambda: status() == "ACTIVE")
    go(page, running, "/dynamodb/items/locked")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(row(page, "kept")).to_be_visible()
    go(page, running, "/dynamodb/tables/locked/overview")
    expect(page.get_by_text("Active", exact=True)).to_be_visible()
    expect(page.get_by_text("The key of this table cannot be used")).to_have_count(0)


def test_a_table_whose_key_cannot_be_used(page: Page, running: Server) -> None:
    """The page of a table shows what is wrong, and does not wait for it to change by itself."""
    create(running.client(), TableName="unusable", AttributeDefinitions=attributes(p="S"))
    described: dict[str, object] = {}
    asked: list[str] = []

    def answer(route: Route) -> None:
        target = route.request.headers.get("x-amz-target", "").rpartition(".")[2]
        if target != "DescribeTable":
            route.continue_()
            return
        asked.append(target)
        answered = route.fetch().json()
        answered["Table"] |= described
        route.fulfill(content_type="application/x-amz-json-1.0", body=json.dumps(answered))

    page.route(f"{running.url}/", answer)
    for status, shown, more in (
        ("INACCESSIBLE_ENCRYPTION_CREDENTIALS", "The key of this table cannot be used", {}),
        (
            "ARCHIVED",
            "This table is archived",
            {"ArchivalSummary": {"ArchivalReason": "INACCESSIBLE_ENCRYPTION_CREDENTIALS", "ArchivalDateTime": 1.7e9}},
        ),
    ):
        described |= {"TableStatus": status, **more}
        go(page, running, "/dynamodb/tables/unusable/overview")
        page.reload()
        expect(page.get_by_text(shown)).to_be_visible()
        before = len(asked)
        page.wait_for_timeout(2500)
        assert len(asked) == before
        go(page, running, "/dynamodb/tables")
        expect(row(page, "unusable")).to_contain_text(status.capitalize().replace("_", " "))
