"""Imports, exports and bulk puts in the console."""

from __future__ import annotations

import gzip
import json

from playwright.sync_api import Page, expect

from testing.dynamodb.definitions import attributes, create
from testing.jedlik_process import Server, eventually
from tests.clients.console_pages import PATIENCE, bucket, go, row


def test_a_table_is_imported(page: Page, running: Server) -> None:
    """From compressed CSV with names of its own; a line that is no item is counted."""
    folder = bucket(running) / "songs"
    folder.mkdir(parents=True)
    lines = "Nina Simone;Sinnerman\nMiriam Makeba;Pata Pata\n;nobody\n"
    (folder / "songs.csv.gz").write_bytes(gzip.compress(lines.encode()))
    page.get_by_role("link", name="DynamoDB", exact=True).click()
    page.get_by_role("link", name="Imports from S3").click()
    page.get_by_role("button", name="Import from S3").click()
    # The form's button has the name of the list's.
    expect(page.get_by_label("Source bucket", exact=True)).to_be_visible()
    page.get_by_role("button", name="Import from S3").click()
    expect(page.get_by_text("Required.")).to_have_count(2)
    page.get_by_label("Source bucket", exact=True).fill("my-exports")
    page.get_by_label("Source bucket: Prefix - optional").fill("songs/")
    for field, chosen in (("Compression", "gzip"), ("Format", "CSV"), ("Separator", "Semicolon")):
        page.get_by_label(field, exact=True).click()
        page.get_by_role("option", name=chosen, exact=True).click()
    page.get_by_label("Names of the columns - optional").fill("artist, song")
    page.get_by_label("Table name").fill("songs")
    page.get_by_label("Partition key", exact=True).fill("artist")
    page.get_by_text("Customize settings").click()
    page.get_by_label("Provisioned", exact=True).check()
    page.get_by_label("Read capacity units", exact=True).fill("8")
    page.get_by_role("button", name="Add global index").click()
    page.get_by_label("Index name").fill("by-song")
    page.get_by_label("Partition key", exact=True).last.fill("song")
    page.get_by_role("button", name="Import from S3").click()
    imported = row(page, "my-exports/songs/")
    expect(imported).to_contain_text("Failed ItemValidationError", timeout=2 * PATIENCE)  # The others are imported.
    for column, text in ((4, "3"), (5, "2"), (6, "1")):
        expect(imported.get_by_role("cell").nth(column)).to_have_text(text)
    client = running.client()
    assert client.scan(TableName="songs")["Count"] == 2
    table = client.describe_table(TableName="songs")["Table"]
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 8
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["by-song"]


def test_an_import_that_fails_gives_its_reason(page: Page, running: Server) -> None:
    go(page, running, "/dynamodb/import-table")
    page.get_by_label("Source bucket", exact=True).fill("no-such-bucket")
    page.get_by_label("Table name").fill("nothing")
    page.get_by_label("Partition key", exact=True).fill("id")
    page.get_by_role("button", name="Import from S3").click()
    expect(row(page, "no-such-bucket")).to_contain_text("Failed S3NoSuchBucket")


def test_items_are_put_in_bulk(page: Page, running: Server) -> None:
    create(running.client(), TableName="filled", AttributeDefinitions=attributes(p="S"))
    folder = bucket(running) / "more"
    folder.mkdir(parents=True)
    records = [{"Item": {"p": {"S": str(number)}}} for number in range(3)] + [{"Item": {"q": {"S": "no key"}}}]
    (folder / "items.json").write_text("\n".join(json.dumps(record) for record in records))
    go(page, running, "/dynamodb/bulk")
    page.get_by_role("button", name="Start bulk put").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Table", exact=True).click()
    page.get_by_role("option", name="filled").click()
    dialog.get_by_label("Source bucket", exact=True).fill("my-exports")
    dialog.get_by_label("Source bucket: Prefix - optional").fill("more/")
    dialog.get_by_label("Bucket of the report", exact=True).fill("my-exports")
    dialog.get_by_label("Bucket of the report: Prefix - optional").fill("report")
    dialog.get_by_label("Bucket of the report: Account of the owner - optional").fill("000000000000")
    dialog.get_by_label("Performance tier", exact=True).click()
    page.get_by_role("option", name="Accelerated").click()
    dialog.get_by_label("Items whose condition was false").uncheck()
    dialog.get_by_label("Most write units a second - optional").fill("2000")
    dialog.get_by_role("button", name="Start bulk put").click()
    filled = row(page, "my-exports/more/")
    expect(filled).to_contain_text("Completed with errors", timeout=2 * PATIENCE)
    assert running.client().scan(TableName="filled")["Count"] == 3
    assert list((bucket(running) / "report").rglob("*"))
    [arn] = [
        one["BulkOperationArn"]
        for one in running.client().list_bulk_operations()["BulkOperationsSummaryList"]
        if "/filled/" in one["BulkOperationArn"]
    ]
    put = running.client().describe_bulk_operation(BulkOperationArn=arn)["BulkOperationDescription"]
    assert put["OutputS3Configuration"]["S3BucketOwner"] == "000000000000"


def test_buckets_of_others_and_encrypted_reports(page: Page, running: Server) -> None:
    """A bucket must belong to the account that is given, and one that is a folder encrypts nothing."""
    create(running.client(), TableName="guarded", AttributeDefinitions=attributes(p="S"))
    go(page, running, "/dynamodb/bulk")
    page.get_by_role("button", name="Start bulk put").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Table", exact=True).click()
    page.get_by_role("option", name="guarded").click()
    dialog.get_by_label("Source bucket", exact=True).fill("my-exports")
    dialog.get_by_label("Source bucket: Account of the owner - optional").fill("111122223333")
    dialog.get_by_label("Bucket of the report", exact=True).fill("my-exports")
    dialog.get_by_label("Encryption of the files", exact=True).click()
    page.get_by_role("option", name="SSE-KMS").click()
    dialog.get_by_label("KMS key - optional").fill("alias/reports")
    with page.expect_request(lambda one: one.headers.get("x-amz-target", "").endswith(".StartBulkPutItems")) as sent:
        dialog.get_by_role("button", name="Start bulk put").click()
    asked = json.loads(sent.value.post_data or "")
    assert asked["InputS3Configuration"]["S3BucketOwner"] == "111122223333"
    assert asked["OutputS3Configuration"]["S3SseAlgorithm"] == "KMS"
    assert asked["OutputS3Configuration"]["S3SseKmsKeyId"] == "alias/reports"
    expect(dialog.get_by_text("S3SseAlgorithm cannot be specified")).to_be_visible()
    dialog.get_by_label("Encryption of the files", exact=True).click()
    page.get_by_role("option", name="As the bucket does it").click()
    dialog.get_by_role("button", name="Start bulk put").click()
    expect(row(page, "guarded")).to_contain_text("Failed S3AccessDenied", timeout=2 * PATIENCE)


def test_a_bulk_put_is_cancelled(page: Page, running: Server) -> None:
    create(running.client(), TableName="unfilled", AttributeDefinitions=attributes(p="S"))
    folder = bucket(running) / "many"
    folder.mkdir(parents=True)
    (folder / "items.json").write_text(json.dumps({"Item": {"p": {"S": "one"}}}))
    with running.holding("BULK_PUT"):
        started = running.client().start_bulk_put_items(
            TableName="unfilled",
            InputS3Configuration={"S3Bucket": "my-exports", "S3KeyPrefix": "many/", "InputFormat": "DYNAMODB_JSON"},
            OutputS3Configuration={"S3Bucket": "my-exports", "OutputType": ["ERROR"]},
        )["BulkOperationDescription"]
        go(page, running, "/dynamodb/bulk")
        row(page, "unfilled").get_by_role("radio").check()
        page.get_by_role("button", name="Cancel bulk put").click()
        expect(row(page, "unfilled")).to_contain_text("Cancelling")
    expect(row(page, "unfilled")).to_contain_text("Cancelled", timeout=2 * PATIENCE)
    described = running.client().describe_bulk_operation(BulkOperationArn=started["BulkOperationArn"])
    assert described["BulkOperationDescription"]["BulkOperationStatus"] == "CANCELLED"


def test_changes_of_a_table_are_exported(page: Page, running: Server) -> None:
    """An incremental export from the page of all exports, and a full one of some items and attributes."""
    client = running.client()
    create(client, TableName="changed", AttributeDefinitions=attributes(p="S"))
    recovery = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="changed", PointInTimeRecoverySpecification=recovery)
    for number in range(3):
        client.put_item(TableName="changed", Item={"p": {"S": str(number)}, "n": {"N": str(number)}, "x": {"S": "y"}})
    page.get_by_role("link", name="DynamoDB", exact=True).click()
    page.get_by_role("link", name="Exports to Amazon S3").click()
    page.get_by_role("button", name="Export to S3").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Table", exact=True).click()
    page.get_by_role("option", name="changed").click()
    dialog.get_by_label("Bucket", exact=True).fill("my-exports")
    dialog.get_by_label("Bucket: Prefix - optional").fill("some")
    dialog.get_by_text("Filters, attributes and encryption").click()
    dialog.get_by_role("button", name="Add filter").click()
    dialog.get_by_label("Attribute name").fill("n")
    dialog.get_by_label("Type", exact=True).click()
    page.get_by_role("option", name="Number").click()
    dialog.get_by_label("Value", exact=True).fill("1")
    dialog.get_by_label("Attributes - optional").fill("p, n")
    dialog.get_by_role("button", name="Export to S3").click()
    expect(row(page, "my-exports/some")).to_contain_text("Completed", timeout=2 * PATIENCE)
    [found] = (bucket(running) / "some").rglob("data/*.gz")
    assert json.loads(gzip.decompress(found.read_bytes())) == {"Item": {"p": {"S": "1"}, "n": {"N": "1"}}}

    page.get_by_role("button", name="Export to S3").click()
    dialog.get_by_label("Table", exact=True).click()
    page.get_by_role("option", name="changed").click()
    dialog.get_by_label("Bucket", exact=True).fill("my-exports")
    dialog.get_by_label("Export type", exact=True).click()
    page.get_by_role("option", name="Incremental export").click()
    expect(dialog.get_by_role("button", name="Export to S3")).to_be_disabled()
    dialog.get_by_placeholder("YYYY/MM/DD").first.fill("2020/01/01")
    dialog.get_by_placeholder("hh:mm:ss").first.fill("00:00:00")
    dialog.get_by_role("button", name="Export to S3").click()
    expect(dialog.get_by_text("ValidationException")).to_be_visible()  # The period of a new table begins today.


def test_a_backup_is_restored_with_another_capacity_and_key(page: Page, running: Server) -> None:
    client = running.client()
    create(
        client,
        TableName="source",
        AttributeDefinitions=attributes(p="S", k="S"),
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-k",
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    client.create_backup(TableName="source", BackupName="before")
    go(page, running, "/dynamodb/tables/source/backups")
    expect(row(page, "before")).to_contain_text("Active")
    row(page, "before").get_by_role("radio").check()
    page.get_by_role("button", name="Restore", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the new table").fill("target")
    dialog.get_by_label("Restore the entire table").uncheck()
    dialog.get_by_label("Capacity mode", exact=True).click()
    page.get_by_role("option", name="Provisioned").click()
    dialog.get_by_label("Write capacity units", exact=True).fill("6")
    dialog.get_by_label("Encrypt with the same key").uncheck()
    dialog.get_by_label("AWS managed key").check()
    dialog.get_by_label("Name of the new table").press("Enter")
    expect(row(page, "target")).to_contain_text("Active")

    def restored() -> bool:
        table = client.describe_table(TableName="target")["Table"]
        return (
            "GlobalSecondaryIndexes" not in table
            and table["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
            and table["SSEDescription"]["SSEType"] == "KMS"
        )

    eventually(restored)

    page.goto(f"{running.url}/console/#/dynamodb/tables/target/backups")
    page.get_by_role("button", name="Turn on recovery").click()
    dialog.get_by_role("button", name="Turn on recovery").click()
    page.get_by_role("button", name="Change period").click()
    dialog.get_by_label("Period in days").fill("9")
    dialog.get_by_role("button", name="Change period").click()

    def period() -> int:
        described = client.describe_continuous_backups(TableName="target")["ContinuousBackupsDescription"]
        return int(described["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"])

    eventually(lambda: period() == 9)
