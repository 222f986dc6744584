"""What somebody types stays, and what somebody chose is done, whatever is stored and loaded meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from testing.dynamodb.definitions import attributes, create
from testing.jedlik_process import Server, eventually
from tests.clients.console_pages import choose, expect_saved, go, held, row


def test_what_is_typed_during_a_save_stays(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="during", AttributeDefinitions=attributes(p="S"))
    go(page, running, "/dynamodb/tables/during/settings")
    reads = page.get_by_label("Warm read units a second - optional", exact=True)
    writes = page.get_by_label("Warm write units a second - optional", exact=True)
    save = page.get_by_role("button", name="Save: Warm throughput")
    reads.fill("20000")
    with held(page, running, "UpdateTable"):
        save.click()
        expect(save).to_have_attribute("aria-disabled", "true")
        writes.fill("9000")
    expect(save).to_be_enabled()
    expect(reads).to_have_value("20000")
    expect(writes).to_have_value("9000")
    save.click()
    expect_saved(save)
    warm = client.describe_table(TableName="during")["Table"]["WarmThroughput"]
    assert (warm["ReadUnitsPerSecond"], warm["WriteUnitsPerSecond"]) == (20000, 9000)


def test_a_page_that_cannot_be_loaded_again_stays(page: Page, running: Server) -> None:
    create(running.client(), TableName="unanswered", AttributeDefinitions=attributes(p="S"))
    go(page, running, "/dynamodb/tables/unanswered/settings")
    page.get_by_label("TTL attribute name").fill("expires")

    def refuse(route: Route) -> None:
        if route.request.headers.get("x-amz-target", "").endswith(".DescribeTable"):
            route.fulfill(status=400, content_type="application/x-amz-json-1.0", body='{"__type": "#Unanswered"}')
        else:
            route.fallback()

    page.route(f"{running.url}/", refuse)
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page.get_by_text("Unanswered").first).to_be_visible()
    expect(page.get_by_label("TTL attribute name")).to_have_value("expires")
    page.unroute(f"{running.url}/", refuse)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.get_by_label("TTL attribute name")).to_have_value("expires")


def test_another_table_has_a_page_of_its_own(page: Page, running: Server) -> None:
    """What was typed for one table is not typed for another, and a dialog that was opened for one is closed."""
    for name in ("first", "second"):
        create(running.client(), TableName=name, AttributeDefinitions=attributes(p="S"))
    go(page, running, "/dynamodb/tables/first/settings")
    page.get_by_label("TTL attribute name").fill("expires")
    page.get_by_role("button", name="Actions", exact=True).click()
    page.get_by_role("menuitem", name="Delete table").click()
    page.get_by_label("To confirm the deletion").fill("confirm")
    go(page, running, "/dynamodb/tables/second/settings")
    expect(page.get_by_role("heading", name="second")).to_be_visible()
    expect(page.get_by_label("TTL attribute name")).to_have_value("")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_tags_that_somebody_else_changes_stay(page: Page, running: Server) -> None:
    client = running.client()
    tags = [{"Key": name, "Value": "before"} for name in ("theirs", "mine", "gone")]
    create(client, TableName="tagged", AttributeDefinitions=attributes(p="S"), Tags=tags)
    arn = client.describe_table(TableName="tagged")["Table"]["TableArn"]
    go(page, running, "/dynamodb/tables/tagged/settings")
    values = page.get_by_role("textbox", name="Value - optional", exact=True)
    keys = page.get_by_role("textbox", name="Key", exact=True)
    expect(keys).to_have_count(3)
    order = [keys.nth(number).input_value() for number in range(3)]
    values.nth(order.index("mine")).fill("after")
    page.get_by_role("button", name="Remove", exact=True).nth(order.index("gone")).click()
    expect(keys).to_have_count(2)
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "theirs", "Value": "after"}, {"Key": "new", "Value": "theirs"}])
    save = page.get_by_role("button", name="Save changes")
    save.click()
    expect_saved(save)
    expect(keys).to_have_count(3)
    found = {tag["Key"]: tag["Value"] for tag in client.list_tags_of_resource(ResourceArn=arn)["Tags"]}
    assert found == {"theirs": "after", "mine": "after", "new": "theirs"}


def policy(sid: str, service: str) -> str:
    allow = {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}}
    more = {"Action": "sts:AssumeRole"} if service == "sts" else {"Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow | more]})


def expect_not_written_over(page: Page, name: str, change: Callable[[], object], stored: Callable[[], str]) -> None:
    """Edit a policy that `change` changes meanwhile; `stored` returns the ID of its statement."""
    editor = page.get_by_role("textbox", name=name)
    save = page.get_by_role("button", name="Save changes")
    expect(editor).to_have_value(re.compile("Before"))
    mine = editor.input_value().replace("Before", "Mine")
    editor.fill(mine)
    change()
    save.click()
    expect(page.get_by_role("button", name="Keep what I have written")).to_be_visible()
    expect(page.get_by_text("Somebody else has changed this policy")).to_have_count(1)
    expect(editor).to_have_value(mine)
    expect(save).to_be_disabled()
    assert stored() == "Theirs"
    page.get_by_role("button", name="Show what is stored").click()
    expect(editor).to_have_value(re.compile("Theirs"))
    editor.fill(mine)
    save.click()
    expect_saved(save)
    assert stored() == "Mine"
    editor.fill(mine.replace("Mine", "Again"))
    change()
    save.click()
    page.get_by_role("button", name="Keep what I have written").click()
    save.click()
    expect_saved(save)
    assert stored() == "Again"


def test_a_policy_that_somebody_else_has_changed_is_not_written_over(page: Page, running: Server) -> None:
    """KMS and IAM compare no revisions. The page does, and asks before it writes over one."""
    iam, kms = running.client("iam"), running.client("kms")
    iam.create_role(RoleName="trusted", AssumeRolePolicyDocument=policy("Before", "sts"))
    key = kms.create_key(Policy=policy("Before", "kms"))["KeyMetadata"]["KeyId"]

    def trust() -> str:
        return str(iam.get_role(RoleName="trusted")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Sid"])

    def change_trust() -> None:
        iam.update_assume_role_policy(RoleName="trusted", PolicyDocument=policy("Theirs", "sts"))

    def key_policy() -> str:
        return str(json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Statement"][0]["Sid"])

    def change_key_policy() -> None:
        kms.put_key_policy(KeyId=key, Policy=policy("Theirs", "kms"))

    go(page, running, "/iam/roles/trusted")
    expect_not_written_over(page, "Trust policy", change_trust, trust)
    go(page, running, f"/kms/keys/{key}")
    expect_not_written_over(page, "Key policy", change_key_policy, key_policy)


def test_an_inline_policy_is_not_written_over_unawares(page: Page, running: Server) -> None:
    iam = running.client("iam")
    iam.create_user(UserName="inline")

    def put(sid: str) -> None:
        allow = {"Sid": sid, "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        iam.put_user_policy(UserName="inline", PolicyName="own", PolicyDocument=document)

    def stored() -> str:
        document = iam.get_user_policy(UserName="inline", PolicyName="own")["PolicyDocument"]
        return str(document["Statement"][0]["Sid"])

    put("Before")
    go(page, running, "/iam/users/inline")
    dialog = page.get_by_role("dialog")
    save = dialog.get_by_role("button", name="Save changes")
    editor = dialog.get_by_role("textbox", name="Policy document")
    page.get_by_role("button", name="Create inline policy").click()
    dialog.get_by_label("Policy name").fill("own")
    save.click()
    expect(dialog.get_by_text("There is an inline policy with the name own.")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Edit own").click()
    expect(editor).to_have_value(re.compile("Before"))
    editor.fill(editor.input_value().replace("Before", "Mine"))
    put("Theirs")
    save.click()
    expect(dialog.get_by_text("Save once more to write over it.")).to_be_visible()
    expect(editor).to_have_value(re.compile("Mine"))
    assert stored() == "Theirs"
    save.click()
    expect(dialog).to_have_count(0)
    assert stored() == "Mine"


def test_dialogs_do_what_they_were_opened_for(page: Page, running: Server) -> None:
    """Somebody else turns a stream on and recovery off while the dialogs for it are open."""
    client = running.client()
    create(client, TableName="turned", AttributeDefinitions=attributes(p="S"))
    recovery = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="turned", PointInTimeRecoverySpecification=recovery)
    dialog = page.get_by_role("dialog")
    go(page, running, "/dynamodb/tables/turned/backups")
    page.get_by_role("button", name="Turn off recovery").click()
    client.update_continuous_backups(
        TableName="turned", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    expect(page.get_by_text("Disabled", exact=True)).to_be_visible()
    expect(dialog.get_by_text("Its past can no longer be restored")).to_be_visible()
    expect(dialog.get_by_role("button", name="Turn off recovery")).to_be_enabled()

    def change(route: Route) -> None:
        """A table that is changing is described again and again."""
        if not route.request.headers.get("x-amz-target", "").endswith(".DescribeTable"):
            route.fallback()
            return
        answered = route.fetch().json()
        answered["Table"]["TableStatus"] = "UPDATING"
        route.fulfill(content_type="application/x-amz-json-1.0", body=json.dumps(answered))

    page.route(f"{running.url}/", change)
    go(page, running, "/dynamodb/tables/turned/streams")
    page.get_by_role("button", name="Refresh", exact=True).click()
    page.get_by_role("button", name="Turn on", exact=True).click()
    view = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    client.update_table(TableName="turned", StreamSpecification=view)
    expect(page.get_by_text("Enabled", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Turn on", exact=True).click()
    expect(dialog.get_by_text("ValidationException")).to_be_visible()
    assert client.describe_table(TableName="turned")["Table"]["StreamSpecification"] == view
    page.unroute(f"{running.url}/", change)


def test_what_is_gone_is_no_longer_selected(page: Page, running: Server) -> None:
    client = running.client()
    index = {
        "IndexName": "by-k",
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    create(
        client,
        TableName="vanishing",
        AttributeDefinitions=attributes(p="S", k="S"),
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[index],
    )
    refresh = page.get_by_role("button", name="Refresh", exact=True)
    delete = page.get_by_role("button", name="Delete", exact=True)
    go(page, running, "/dynamodb/tables/vanishing/indexes")
    row(page, "by-k").get_by_role("radio").check()
    expect(delete).to_be_enabled()
    client.update_table(TableName="vanishing", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-k"}}])
    eventually(lambda: "GlobalSecondaryIndexes" not in client.describe_table(TableName="vanishing")["Table"])
    refresh.click()
    expect(row(page, "by-k")).to_have_count(0)
    expect(delete).to_be_disabled()

    go(page, running, "/dynamodb/tables")
    row(page, "vanishing").get_by_role("checkbox").check()
    delete.click()
    expect(page.get_by_text("The items of this table are deleted with it.")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    client.delete_table(TableName="vanishing")
    eventually(lambda: "vanishing" not in client.list_tables()["TableNames"])
    refresh.click()
    expect(row(page, "vanishing")).to_have_count(0)
    expect(delete).to_be_disabled()


def test_a_backup_is_restored_that_was_selected_while_it_was_made(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="slow", AttributeDefinitions=attributes(p="S"))
    with running.holding("BACKUP"):
        client.create_backup(TableName="slow", BackupName="being-made")
        go(page, running, "/dynamodb/tables/slow/backups")
        row(page, "being-made").get_by_role("radio").check()
        expect(page.get_by_role("button", name="Restore", exact=True)).to_be_disabled()
    expect(row(page, "being-made")).to_contain_text("Active")
    expect(page.get_by_role("button", name="Restore", exact=True)).to_be_enabled()


def test_rows_that_are_typed_while_keys_are_looked_for_stay(page: Page, running: Server) -> None:
    go(page, running, "/iam/simulator")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:Secure": "true"}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    page.get_by_role("textbox", name="Policy document").fill(document)
    with held(page, running, "GetContextKeysForCustomPolicy"):
        page.get_by_role("button", name="Add the keys that the policies test").click()
        page.get_by_role("button", name="Add condition key").click()
        page.get_by_label("Condition key 1", exact=True).fill("aws:UserAgent")
    expect(page.get_by_label("Condition key 2", exact=True)).to_have_value("aws:Secure")
    expect(page.get_by_label("Condition key 1", exact=True)).to_have_value("aws:UserAgent")


def test_further_results_are_of_the_statement_that_was_run(page: Page, running: Server) -> None:
    client = running.client()
    create(client, TableName="wide", AttributeDefinitions=attributes(p="S"))
    for number in range(4):  # A page of results has a megabyte.
        client.put_item(TableName="wide", Item={"p": {"S": str(number)}, "t": {"S": "x" * 390_000}})
    go(page, running, "/dynamodb/partiql")
    editor = page.get_by_role("textbox", name="Statement")
    editor.fill("SELECT * FROM wide")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("button", name="Retrieve next page")).to_be_visible()
    editor.fill("SELECT p FROM wide WHERE p = 'another'")
    page.get_by_role("button", name="Retrieve next page").click()
    expect(page.get_by_role("heading", name="Results (4)")).to_be_visible()


def test_an_older_answer_does_not_replace_a_newer_one(page: Page, running: Server) -> None:
    """A query is answered after the scan that followed it."""
    client = running.client()
    create(client, TableName="asked", AttributeDefinitions=attributes(p="S"))
    for name in ("one", "two"):
        client.put_item(TableName="asked", Item={"p": {"S": name}})
    go(page, running, "/dynamodb/items/asked")
    expect(page.get_by_text("Items returned: 2.")).to_be_visible()
    row(page, "two").get_by_role("checkbox").check()
    page.get_by_role("button", name="Query", exact=True).click()
    page.get_by_role("textbox", name="p (Partition key)").fill("nobody")
    is_query = re.compile(r"[.]Query$")
    with (
        page.expect_event("requestfinished", lambda one: bool(is_query.search(one.headers.get("x-amz-target", "")))),
        held(page, running, "Query"),
    ):
        page.get_by_role("button", name="Run").click()
        choose(page, "Actions", "Delete items")
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Items returned: 1.")).to_be_visible()
    expect(page.get_by_role("button", name="Run")).to_be_enabled()
    expect(page.get_by_text("Items returned: 1.")).to_be_visible()
    expect(row(page, "one")).to_be_visible()
