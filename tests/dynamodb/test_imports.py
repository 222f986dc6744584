"""ImportTable, DescribeImport and ListImports: from objects of a bucket into a new table."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import orjson
import pytest
import zstandard
from botocore.exceptions import ClientError

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import JobMoved, JobWaits
from jedlik.background.pacing import Pace
from jedlik.buckets import Bucket
from jedlik.dynamodb.backups import importing, open_sources
from jedlik.dynamodb.backups.open_sources import BUSY, Amount, Description, Source
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.object_places import ObjectPlaces
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.object_store import Found, ObjectStoreError
from jedlik.upkeep import stats
from testing import jobs
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, index, key_schema
from testing.dynamodb.handlers import Handlers
from testing.jedlik_process import Server, eventually
from testing.storage.objects import MemoryObjects

TABLE = {"KeySchema": key_schema("p", "s"), "AttributeDefinitions": attributes(p="S", s="N")}
ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="module")
def importer(place: Path) -> Iterator[Server]:
    """A server with a bucket."""
    settings = place / "jedlik.toml"
    settings.write_text(f'[buckets.my-data]\nurl = "{(place / "data").as_uri()}"\n')
    server = Server(place / "log", config=settings, data_dir=place / "store", in_memory=True, backups=place / "backups")
    yield server
    server.kill()


@pytest.fixture
def client(importer: Server) -> Any:
    return importer.client()


def put(place: Path, name: str, content: bytes) -> str:
    """Put an object into the bucket, under a folder of its own; the folder."""
    folder = uuid4().hex
    path = place / "data" / folder / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return folder


def begun(client: Any, folder: str, form: str, **more: Any) -> dict[str, Any]:
    parameters = {"TableName": f"table-{uuid4().hex}", **TABLE, **ON_DEMAND} | more.pop("table", {})
    answer: dict[str, Any] = client.import_table(
        S3BucketSource={"S3Bucket": "my-data", "S3KeyPrefix": f"{folder}/"},
        InputFormat=form,
        TableCreationParameters=parameters,
        **more,
    )["ImportTableDescription"]
    return answer


def imported(client: Any, folder: str, form: str, **more: Any) -> dict[str, Any]:
    """What has become of an import."""
    arn = begun(client, folder, form, **more)["ImportArn"]
    eventually(lambda: described(client, arn)["ImportStatus"] != "IN_PROGRESS")
    return described(client, arn)


def described(client: Any, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = client.describe_import(ImportArn=arn)["ImportTableDescription"]
    return found


def held(client: Any, done: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of the table, in the order of their keys."""
    found = client.scan(TableName=done["TableArn"].rpartition("/")[2])["Items"]
    return sorted(found, key=lambda item: (item["p"]["S"], int(item["s"]["N"])))


def lines(*items: dict[str, Any]) -> bytes:
    return b"".join(orjson.dumps({"Item": item}) + b"\n" for item in items)


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"p": {"S": "a"}, "s": {"N": f"{number}"}, **more}


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "NONE": bytes,
    "GZIP": gzip.compress,
    "ZSTD": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_dynamodb_json_is_imported(client: Any, place: Path, compression: str) -> None:
    items = [item(n, list={"L": [{"BOOL": True}, {"NULL": True}]}, set={"NS": ["1", "2"]}) for n in range(1000)]
    content = lines(*items)
    folder = put(place, "part-0", COMPRESSIONS[compression](content))
    of = {} if compression == "NONE" else {"InputCompressionType": compression}
    done = imported(client, folder, "DYNAMODB_JSON", **of)
    name = done["TableArn"].rpartition("/")[2]
    assert {member: done[member] for member in done if not member.endswith("Time")} == {
        "ImportArn": done["ImportArn"],
        "ImportStatus": "COMPLETED",
        "TableArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}",
        "TableId": client.describe_table(TableName=name)["Table"]["TableId"],
        "ClientToken": done["ClientToken"],
        "S3BucketSource": {
            "S3BucketOwner": "000000000000",
            "S3Bucket": "my-data",
            "S3KeyPrefix": f"{folder}/",
        },
        "ErrorCount": 0,
        "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": compression,
        "TableCreationParameters": {"TableName": name, **TABLE, **ON_DEMAND},
        "ProcessedSizeBytes": len(content),
        "ProcessedItemCount": 1000,
        "ImportedItemCount": 1000,
    }
    assert done["EndTime"] >= done["StartTime"]
    assert held(client, done) == items
    table = client.describe_table(TableName=name)["Table"]
    assert (table["TableStatus"], table["ItemCount"]) == ("ACTIVE", 1000)
    assert "RestoreSummary" not in table
    client.delete_table(TableName=name)


def test_csv_has_strings_and_the_types_of_keys(client: Any, place: Path) -> None:
    folder = put(place, "people.csv", b'p,s,x,text\r\na,1,5,"one, two"\r\na,2,6,plain\r\n\r\n')
    by_x = {
        "AttributeDefinitions": attributes(p="S", s="N", x="N"),
        "GlobalSecondaryIndexes": [index("by-x", "x")],
    }
    done = imported(client, folder, "CSV", table=by_x)
    wanted = [item(1, x={"N": "5"}, text={"S": "one, two"}), item(2, x={"N": "6"}, text={"S": "plain"})]
    assert held(client, done) == wanted
    name = done["TableArn"].rpartition("/")[2]
    assert client.scan(TableName=name, IndexName="by-x")["Count"] == 2

    folder = put(place, "people.csv", b"a;1\na;2\n")
    options = {"Csv": {"Delimiter": ";", "HeaderList": ["p", "s"]}}
    done = imported(client, folder, "CSV", InputFormatOptions=options)
    assert held(client, done) == [item(1), item(2)]
    assert (done["ProcessedItemCount"], done["InputFormatOptions"]) == (2, options)


@pytest.mark.parametrize("end", [b"\n", b""])
def test_all_bytes_of_an_object_are_processed(client: Any, place: Path, end: bytes) -> None:
    """With the header of CSV, and a last line without an end: so the developer guide's sample counts them."""
    content = b"p,s\na,1\na,2\na,3" + end
    done = imported(client, put(place, "a.csv", content), "CSV")
    assert (done["ImportedItemCount"], done["ProcessedSizeBytes"]) == (3, len(content))


CSV_LINES: list[tuple[bytes, dict[str, str] | str]] = [
    (b"a,1,5,plain", {"x": "5", "text": "plain"}),
    (b'"a",2,"5","one, two"\r', {"x": "5", "text": "one, two"}),
    # The samples of the developer guide are of this kind: a quote in a value without quotes stands there three times.
    (b'a,3,5,size """42""" shirt', {"x": "5", "text": 'size "42" shirt'}),
    (b'a,4,5,size "42" shirt', "it is not a line of CSV: value 4 has a quote that is not escaped"),
    (b'a,5,5,"size ""42"" shirt"', {"x": "5", "text": 'size "42" shirt'}),
    (b'a,6,5,"""42"""', {"x": "5", "text": '"42"'}),
    (b'a,7,5,"open', "it is not a line of CSV: value 4 has a quote that is not escaped"),
    (b'a,8,5,"closed" behind', "it is not a line of CSV: value 4 has a quote that is not escaped"),
    # An empty value is an empty string, which a key cannot be; spaces belong to values.
    (b"a,9,5,", {"x": "5", "text": ""}),
    (b'a,10,5,""', {"x": "5", "text": ""}),
    (b"a,11,5,  two  ", {"x": "5", "text": "  two  "}),
    (b",12,5,text", "One or more parameter values are not valid. "),
    (b"a,,5,text", "The parameter cannot be converted to a numeric value"),
    (b"a,14,,text", "The parameter cannot be converted to a numeric value"),
    # Empty lines are no records.
    (b"", {}),
    (b"\r", {}),
    # Numbers are those of keys only, of the table and of its indexes.
    (b"a,1.60e1,05,7", {"x": "5", "text": "7"}),
    (b"a,seventeen,5,text", "The parameter cannot be converted to a numeric value"),
    # A record has as many values as the header, and ends with its line.
    (b"a,18,5", "it has 3 values, and the header 4"),
    (b"a,19,5,text,more", "it has 5 values, and the header 4"),
    (b'a,20,5,"two', "it is not a line of CSV: value 4 has a quote that is not escaped"),
    (b'lines"', "it is not a line of CSV: value 1 has a quote that is not escaped"),
    (b"a,22,5,\xff", "it is not a line of CSV: 'utf-8' codec can't decode byte 0xff"),
    ("a,23,5,\u0171\U0001f600".encode(), {"x": "5", "text": "\u0171\U0001f600"}),
    (b"a,24,5," + b"t" * 409_600, "Item size has exceeded the maximum allowed size"),
    (b"a,25,5," + b"t" * (409_600 - 20), {"x": "5", "text": "t" * (409_600 - 20)}),
]
"""Lines of CSV, and the attributes that are imported besides p and s, or the reason of an error."""


def test_csv_is_read_as_the_developer_guide_has_it(client: Any, place: Path) -> None:
    """Line by line: "Amazon S3 import formats for DynamoDB", and its validation errors."""
    by_x = {"AttributeDefinitions": attributes(p="S", s="N", x="N"), "GlobalSecondaryIndexes": [index("by-x", "x")]}
    folder = put(place, "lines.csv", b"\n".join([b'\xef\xbb\xbfp,"s",x,text\r', *(line for line, _ in CSV_LINES)]))
    done = imported(client, folder, "CSV", table=by_x)
    wanted = [
        item(int(float(line.split(b",")[1].decode())), x={"N": found["x"]}, text={"S": found["text"]})
        for line, found in CSV_LINES
        if isinstance(found, dict) and found
    ]
    assert held(client, done) == sorted(wanted, key=lambda one: int(one["s"]["N"]))
    records = [found for _, found in CSV_LINES if found]
    errors = [found for found in records if isinstance(found, str)]
    counts = done["ProcessedItemCount"], done["ImportedItemCount"], done["ErrorCount"]
    assert counts == (len(records), len(wanted), len(errors))
    import_id, name = (done[arn].rpartition("/")[2] for arn in ("ImportArn", "TableArn"))
    log = place / "backups" / "000000000000" / "us-east-1" / name / f"{import_id}-errors"
    logged = [orjson.loads(line) for path in sorted(log.iterdir()) for line in path.read_bytes().splitlines()]
    reasons = {one["line"]: one["reason"] for one in logged}
    for number, (_, found) in enumerate(CSV_LINES, 2):
        assert isinstance(found, str) == (number in reasons)
        assert not isinstance(found, str) or reasons[number].startswith(found), reasons[number]


@pytest.mark.parametrize("delimiter", [",", ";", ":", "|", "\t", " "])
def test_each_delimiter_is_known(client: Any, place: Path, delimiter: str) -> None:
    line = delimiter.join(["a", "1", f'"x{delimiter}y"']) + "\n"
    folder = put(place, "a.csv", line.encode())
    options = {"Csv": {"Delimiter": delimiter, "HeaderList": ["p", "s", "a header"]}}
    done = imported(client, folder, "CSV", InputFormatOptions=options)
    assert held(client, done) == [item(1, **{"a header": {"S": f"x{delimiter}y"}})]


@pytest.mark.parametrize(
    ("options", "header", "reason"),
    [
        ({}, b"p,s,p", "the header has the column p more than once"),
        ({}, b"p,s,", "the header has a column without a name"),
        ({}, b'p,s,"x', "it is not a line of CSV: value 3 has a quote that is not escaped"),
        ({"HeaderList": ["p", "s", "s"]}, b"a,1,x", "the header has the column s more than once"),
        ({"HeaderList": ["p", "s"]}, b"a,1,x", "it has 3 values, and the header 2"),
        # The first line is a record if the request has the header.
        ({"HeaderList": ["p", "s", "x"]}, b"p,s,x", "The parameter cannot be converted to a numeric value"),
    ],
)
def test_a_wrong_header_is_named(client: Any, place: Path, options: dict[str, Any], header: bytes, reason: str) -> None:
    folder = put(place, "a.csv", header + b"\n" + header + b"\n")
    done = imported(client, folder, "CSV", **({"InputFormatOptions": {"Csv": options}} if options else {}))
    assert (done["ImportStatus"], done["ErrorCount"]) == ("FAILED", 2 if options else 1)
    import_id, name = (done[arn].rpartition("/")[2] for arn in ("ImportArn", "TableArn"))
    log = place / "backups" / "000000000000" / "us-east-1" / name / f"{import_id}-errors"
    [path] = log.iterdir()
    assert orjson.loads(path.read_bytes().splitlines()[0])["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("CSV", {"Csv": {"Delimiter": "#"}}),
        ("CSV", {"Csv": {"Delimiter": ",,"}}),
        ("CSV", {"Csv": {"HeaderList": []}}),
        ("CSV", {"Csv": {"HeaderList": ["p", "s,"]}}),
        ("CSV", {"Csv": {"HeaderList": ["p", "\u0171"]}}),
        ("CSV", {"Csv": {"HeaderList": [f"h{n}" for n in range(256)]}}),
        ("DYNAMODB_JSON", {"Csv": {"Delimiter": ";"}}),
    ],
)
def test_options_of_csv_are_checked(client: Any, form: str, options: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        begun(client, "any", form, InputFormatOptions=options)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_amazon_ion_is_imported(client: Any, place: Path) -> None:
    pytest.importorskip("amazon.ion")
    text = b"".join(b'$ion_1_0 {Item:{p:"a",s:%d.,set:$dynamodb_NS::[1.,2.]}}\n' % number for number in range(300))
    done = imported(client, put(place, "part.ion.gz", gzip.compress(text)), "ION", InputCompressionType="GZIP")
    assert (done["ImportStatus"], done["ImportedItemCount"], done["InputFormat"]) == ("COMPLETED", 300, "ION")
    assert held(client, done) == [item(number, set={"NS": ["1", "2"]}) for number in range(300)]


BOOK = {
    "p": {"S": "book"},
    "s": {"N": "103"},
    "Authors": {"SS": ["First Author", "Second Author"]},
    "Sizes": {"NS": ["1.5", "8"]},
    "Scans": {"BS": ["AAE=", "AgM="]},
    "Cover": {"B": "/9j/"},
    "Title": {"S": "Book 103"},
    "Price": {"N": "2000"},
    "InPublication": {"BOOL": False},
    "Successor": {"NULL": True},
    "Reviews": {"L": [{"M": {"Stars": {"N": "5"}, "Text": {"S": "\u0171"}}}, {"L": []}]},
}
"""An item with a value of each type, as exports of Amazon DynamoDB write them."""
BOOK_IN_ION = (
    b'$ion_1_0 {Item:{p:"book",s:103.,Authors:$dynamodb_SS::["First Author","Second Author"],'
    b"Sizes:$dynamodb_NS::[1.5,8.],Scans:$dynamodb_BS::[{{AAE=}},{{AgM=}}],Cover:{{/9j/}},"
    b'Title:"Book 103",Price:2000.,InPublication:false,Successor:null,Reviews:[{Stars:5.,Text:"\xc5\xb1"},[]]}}\n'
)


@pytest.mark.parametrize("form", ["DYNAMODB_JSON", "ION"])
def test_an_export_of_amazon_dynamodb_is_imported(client: Any, place: Path, form: str) -> None:
    """Its layout, compression and lines are those of "DynamoDB table export output format" in the developer guide; a
    partition without items has a file without lines."""
    if form == "ION":
        pytest.importorskip("amazon.ion")
    line, suffix = (BOOK_IN_ION, "ion.gz") if form == "ION" else (lines(BOOK), "json.gz")
    folder = put(place, "_started", b"")
    export = place / "data" / folder / "AWSDynamoDB" / "01693685827463-2d8752fd"
    (export / "data").mkdir(parents=True)
    files = {"asdl123dasas": gzip.compress(line), "empty4567": gzip.compress(b"")}
    manifest = []
    for name, content in files.items():
        (export / "data" / f"{name}.{suffix}").write_bytes(content)
        key = f"{folder}/AWSDynamoDB/{export.name}/data/{name}.{suffix}"
        manifest.append({"itemCount": len(content) > 20, "md5Checksum": "", "etag": "-1", "dataFileS3Key": key})
    (export / "manifest-files.json").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in manifest))
    (export / "manifest-summary.json").write_bytes(b"{}")
    prefix = f"{folder}/AWSDynamoDB/{export.name}/data"
    done = imported(client, prefix, form, InputCompressionType="GZIP")
    counts = done["ProcessedItemCount"], done["ImportedItemCount"], done["ErrorCount"]
    assert (done["ImportStatus"], counts) == ("COMPLETED", (1, 1, 0))
    [found] = held(client, done)
    wanted = {**BOOK, "Scans": {"BS": [b"\0\1", b"\2\3"]}, "Cover": {"B": b"\xff\xd8\xff"}}
    for name in ("Authors", "Sizes", "Scans"):
        [(kind, values)] = found[name].items()
        found[name] = {kind: sorted(values)}
    assert found == wanted


def test_what_is_no_item_is_counted_and_logged(client: Any, place: Path, importer: Server) -> None:
    broken = b'not JSON\n{"Item": 5}\n' + lines(
        {"p": {"S": "a"}}, {"p": {"N": "1"}, "s": {"N": "1"}}, item(7, text={"S": "t" * 410_000}), item(1)
    )
    folder = put(place, "a", broken)
    (place / "data" / folder / "b").write_bytes(lines(item(1, second={"BOOL": True}), item(2)))
    done = imported(client, folder, "DYNAMODB_JSON")
    assert (done["ProcessedItemCount"], done["ImportedItemCount"], done["ErrorCount"]) == (8, 3, 5)
    # As on AWS, the table is there with the other items.
    assert held(client, done) == [item(1, second={"BOOL": True}), item(2)]
    logged = [line for line in importer.log_lines() if line.get("object", "").startswith(folder)]
    assert [line["line"] for line in logged] == [1, 2, 3, 4, 5]
    # The same is in the place of backups, in a folder that `jedlik stats` names.
    import_id = done["ImportArn"].rpartition("/")[2]
    name = done["TableArn"].rpartition("/")[2]
    folder_of_log = f"000000000000/us-east-1/{name}/{import_id}-errors"
    log = place / "backups" / folder_of_log
    assert (done["ImportStatus"], done["FailureCode"], done["FailureMessage"]) == (
        "FAILED",
        "ItemValidationError",
        f"Some of the items failed validation checks and were not imported. Their log is in {folder_of_log}.",
    )
    found = [orjson.loads(line) for path in log.iterdir() for line in path.read_bytes().splitlines()]
    assert [(one["object"], one["line"]) for one in found] == [(f"{folder}/a", number) for number in range(1, 6)]
    assert found[0]["reason"] == 'it is not JSON of the form {"Item": {...}}'
    assert not any("ttttt" in one["reason"] for one in found)

    folder = put(place, "a", gzip.compress(lines(item(1)))[:-12] + b"damaged")
    done = imported(client, folder, "DYNAMODB_JSON", InputCompressionType="GZIP")
    assert (done["ImportStatus"], done["ErrorCount"]) == ("FAILED", 1)


def test_an_import_without_a_source_fails_and_leaves_no_table(client: Any, place: Path) -> None:
    done = imported(client, "missing", "DYNAMODB_JSON")
    assert (done["ImportStatus"], done["FailureCode"]) == ("FAILED", "S3NoSuchKey")
    name = done["TableArn"].rpartition("/")[2]
    assert name not in client.list_tables()["TableNames"]
    arn = client.import_table(
        S3BucketSource={"S3Bucket": "other-bucket"},
        InputFormat="CSV",
        TableCreationParameters={"TableName": name, **TABLE, **ON_DEMAND},
    )["ImportTableDescription"]["ImportArn"]
    eventually(lambda: described(client, arn)["ImportStatus"] == "FAILED")
    assert described(client, arn)["FailureCode"] == "S3NoSuchBucket"
    assert described(client, arn)["FailureMessage"] == "The specified bucket does not exist"


def test_imports_are_listed_and_a_token_begins_one_only(client: Any, place: Path) -> None:
    folder = put(place, "a", lines(item(1)))
    name = f"table-{uuid4().hex}"
    arns = []
    for _ in range(3):
        done = imported(client, folder, "DYNAMODB_JSON", table={"TableName": name})
        arns.append(done["ImportArn"])
        client.delete_table(TableName=name)
    listed = client.list_imports(TableArn=done["TableArn"])["ImportSummaryList"]
    assert [one["ImportArn"] for one in listed] == arns
    assert listed[0].keys() == {
        "ImportArn", "ImportStatus", "TableArn", "S3BucketSource", "InputFormat", "StartTime", "EndTime",
    }  # fmt: skip
    page = client.list_imports(TableArn=done["TableArn"], PageSize=2)
    assert [one["ImportArn"] for one in page["ImportSummaryList"]] == arns[:2]
    rest = client.list_imports(TableArn=done["TableArn"], PageSize=2, NextToken=page["NextToken"])
    assert [one["ImportArn"] for one in rest["ImportSummaryList"]] == arns[2:]
    assert "NextToken" not in rest

    first = begun(client, folder, "DYNAMODB_JSON", table={"TableName": name}, ClientToken="mine")
    again = begun(client, folder, "DYNAMODB_JSON", table={"TableName": name}, ClientToken="mine")
    assert again["ImportArn"] == first["ImportArn"]
    eventually(lambda: described(client, first["ImportArn"])["ImportStatus"] == "COMPLETED")
    again = begun(client, folder, "DYNAMODB_JSON", table={"TableName": name}, ClientToken="mine")
    assert again["EndTime"] == described(client, first["ImportArn"])["EndTime"]
    with pytest.raises(ClientError) as caught:
        begun(client, folder, "CSV", table={"TableName": name}, ClientToken="mine")
    assert caught.value.response["Error"]["Code"] == "ImportConflictException"
    with pytest.raises(ClientError) as caught:
        begun(client, folder, "DYNAMODB_JSON", table={"TableName": name})
    assert caught.value.response["Error"]["Code"] == "ResourceInUseException"
    with pytest.raises(ClientError) as caught:
        described(client, first["ImportArn"] + "0")
    assert caught.value.response["Error"]["Code"] == "ImportNotFoundException"


def test_a_client_token_begins_one_import_however_many_ask_at_once(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        own.region.places = ObjectPlaces(MemoryObjects(), {})
        asked = {
            "S3BucketSource": {"S3Bucket": "any-bucket"},
            "InputFormat": "CSV",
            "TableCreationParameters": {"TableName": "target", **TABLE, **ON_DEMAND},
        }
        begun = await asyncio.gather(*(own.call("ImportTable", ClientToken="mine", **asked) for _ in range(5)))
        assert len({one["ImportTableDescription"]["ImportArn"] for one in begun}) == 1
        with pytest.raises(ServiceError) as caught:
            await own.call("ImportTable", ClientToken="other", **asked)
        assert caught.value.name == "ResourceInUseException"

    handlers.run(tmp_path / "store", test)


@pytest.mark.parametrize("form", ["CSV", "DYNAMODB_JSON"])
def test_each_record_counts_once_whatever_workers_die(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(importing, "LINES_AT_ONCE", 3)
    monkeypatch.setattr(importing, "READ", Amount(6, MIB))
    monkeypatch.setattr(importing, "LOGGED", 8)
    random = Random(1)

    async def test(own: Handlers) -> None:
        objects = MemoryObjects()
        own.region.places = ObjectPlaces(objects, {})
        monkeypatch.setattr(own.region.places, "bucket_with", lambda name, options: objects)
        for part in range(5):
            numbers = range(part * 40, part * 40 + 40)
            rows = b"p,s\n" + b"".join(b"a,%d\n" % n for n in numbers)
            content = (rows if form == "CSV" else lines(*map(item, numbers))) + b"nothing,of,that,kind\n" * 2
            objects.kept[f"part-{part}"] = gzip.compress(content)
        objects.kept["part-5"] = b""
        answer = await own.call(
            "ImportTable",
            S3BucketSource={"S3Bucket": "any-bucket", "S3KeyPrefix": "part"},
            InputFormat=form,
            InputCompressionType="GZIP",
            TableCreationParameters={"TableName": "target", **TABLE, **ON_DEMAND},
        )
        late = []
        while rows_of_jobs := await own.region.engine.range(*job_records.job_range(), 1, MIB):
            late.append(job_records.parse(rows_of_jobs[0]))
            if random.random() < 0.3:
                open_sources.forget()  # Another worker, which has nothing open.
            for job in (late[-1], random.choice(late)):
                with suppress(JobMoved):
                    await importing.step(own.region, job)
        arn = answer["ImportTableDescription"]["ImportArn"]
        done = (await own.call("DescribeImport", ImportArn=arn))["ImportTableDescription"]
        assert (done["ImportStatus"], done["ImportedItemCount"], done["ErrorCount"]) == ("FAILED", 200, 10)
        assert done["ProcessedItemCount"] == 210
        # As many as are logged, and each of them once.
        logs = [content for name, content in objects.kept.items() if "-errors/" in name]
        found = [orjson.loads(line) for content in logs for line in content.splitlines()]
        first = 42 if form == "CSV" else 41
        wanted = [(f"part-{part}", line) for part in range(4) for line in (first, first + 1)]
        assert sorted((one["object"], one["line"]) for one in found) == wanted
        engine = own.region.engine
        assert isinstance(engine, LmdbEngine)
        with engine.view() as view:
            [shown] = stats.imports_of(view, own.region.account, own.region.name)
        assert (shown.table, shown.errors) == ("target", 10)
        assert {name.rpartition("/")[0] for name in objects.kept if "-errors/" in name} == {shown.log}
        assert (await own.call("DescribeTable", TableName="target"))["Table"]["ItemCount"] == 200

    handlers.run(tmp_path / "store", test)


def test_an_import_is_cancelled_when_its_table_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "LINES_AT_ONCE", 3)
    monkeypatch.setattr(importing, "READ", Amount(6, MIB))

    async def test(own: Handlers) -> None:
        objects = MemoryObjects()
        own.region.places = ObjectPlaces(objects, {})
        monkeypatch.setattr(own.region.places, "bucket_with", lambda name, options: objects)
        objects.kept["part"] = lines(*map(item, range(200)))
        answer = await own.call(
            "ImportTable",
            S3BucketSource={"S3Bucket": "any-bucket"},
            InputFormat="DYNAMODB_JSON",
            TableCreationParameters={"TableName": "target", **TABLE, **ON_DEMAND},
        )

        async def step() -> bool:
            for row in await own.region.engine.range(*job_records.job_range(), 10, MIB):
                with suppress(JobMoved, JobWaits):
                    await jobs.step(own.region, job_records.parse(row))
            return bool(await own.region.engine.range(*job_records.job_range(), 1, MIB))

        assert await step()
        await own.call("DeleteTable", TableName="target")
        assert (await own.call("ListTables"))["TableNames"] == []
        while await step():
            pass
        arn = answer["ImportTableDescription"]["ImportArn"]
        done = (await own.call("DescribeImport", ImportArn=arn))["ImportTableDescription"]
        assert (done["ImportStatus"], done["FailureCode"]) == ("CANCELLED", "ImportCancelled")
        assert 0 < done["ImportedItemCount"] < 100
        assert await own.region.engine.range(*spaces.ROWS.range, 1, 1) == []

    handlers.run(tmp_path / "store", test)


def test_an_import_that_fails_shows_no_place_of_the_server(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        (tmp_path / "file").write_text("where a folder is wanted")
        own.region.places = ObjectPlaces(MemoryObjects(), {"b-1": Bucket((tmp_path / "file" / "sub").as_uri())})
        parameters = {"TableName": "table", **TABLE, **ON_DEMAND}
        source = {"S3Bucket": "b-1", "S3KeyPrefix": "x"}
        own.region.places.bucket("b-1").list = failing  # type: ignore[method-assign]
        answer = await own.call(
            "ImportTable", S3BucketSource=source, InputFormat="DYNAMODB_JSON", TableCreationParameters=parameters
        )
        for _ in range(2):
            [row] = await own.region.engine.range(*job_records.job_range(), 1, MIB)
            with suppress(JobWaits):
                await jobs.step(own.region, job_records.parse(row))
            own.now += importing.PATIENCE_SECONDS + 1
        arn = answer["ImportTableDescription"]["ImportArn"]
        done = (await own.call("DescribeImport", ImportArn=arn))["ImportTableDescription"]
        assert (done["ImportStatus"], done["FailureCode"], done["FailureMessage"]) == (
            "FAILED",
            "S3Error",
            "The bucket could not be used. The log of the server has the reason.",
        )

    async def failing(folder: str) -> AsyncIterator[Found]:
        raise ObjectStoreError(f"{tmp_path}: cannot list")
        yield Found("", 0)

    handlers.run(tmp_path / "store", test)


def test_a_bucket_has_an_owner(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        data = tmp_path / "data"
        data.mkdir()
        (data / "part").write_bytes(lines(item(1)))
        theirs = Bucket(data.as_uri(), owner="111111111111")
        own.region.places = ObjectPlaces(MemoryObjects(), {"theirs": theirs, "own": Bucket(data.as_uri())})

        async def status(bucket: str, **owner: str) -> tuple[str, str | None]:
            parameters = {"TableName": f"table-{uuid4().hex}", **TABLE, **ON_DEMAND}
            answer = await own.call(
                "ImportTable",
                S3BucketSource={"S3Bucket": bucket, **owner},
                InputFormat="DYNAMODB_JSON",
                TableCreationParameters=parameters,
            )
            while rows := await own.region.engine.range(*job_records.job_range(), 1, MIB):
                await jobs.step(own.region, job_records.parse(rows[0]))
            arn = answer["ImportTableDescription"]["ImportArn"]
            done = (await own.call("DescribeImport", ImportArn=arn))["ImportTableDescription"]
            return done["ImportStatus"], done.get("FailureCode")

        assert await status("own") == ("COMPLETED", None)
        assert await status("own", S3BucketOwner="000000000000") == ("COMPLETED", None)
        assert await status("own", S3BucketOwner="111111111111") == ("FAILED", "S3AccessDenied")
        assert await status("theirs") == ("FAILED", "S3AccessDenied")
        assert await status("theirs", S3BucketOwner="111111111111") == ("COMPLETED", None)
        assert await status("missing") == ("FAILED", "S3NoSuchBucket")

    handlers.run(tmp_path / "store", test)


@pytest.mark.parametrize("others_ask", [True, False])
def test_less_is_read_at_once_while_others_ask(tmp_path: Path, others_ask: bool) -> None:
    async def test(own: Handlers) -> None:
        objects = MemoryObjects()
        objects.kept["part"] = lines(*map(item, range(200)))
        spans = {"part": (0, len(objects.kept["part"]))}
        description = Description({}, "DYNAMODB_JSON", "NONE")
        source = Source(objects, description, ["part"], spans, Pace(own.region))
        first = await source.read(importing.READ)
        own.region.begun += others_ask
        own.region.ended += others_ask
        await source.pace.rest()
        second = await source.read(importing.READ)
        assert first is not None
        assert second is not None
        assert (len(first), len(second)) == (BUSY.records, BUSY.records if others_ask else 200 - BUSY.records)

    handlers.run(tmp_path, test)
