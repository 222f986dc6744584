"""`jedlik export` and `jedlik import`: files of DynamoDB JSON, through a server and from a store."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest
import zstandard

from jedlik.cli import transfer_notes, transfer_sources, transfer_targets
from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server, run_jedlik

TABLE = {
    "KeySchema": key_schema("p", "s"),
    "AttributeDefinitions": attributes(p="S", s="N"),
    "BillingMode": "PAY_PER_REQUEST",
}
ITEMS = [
    {
        "p": {"S": "ű"},
        "s": {"N": str(number)},
        "b": {"B": b"\x00\xff"},
        "l": {"L": [{"BS": [b"1", b"2"]}, {"M": {"x": {"B": b"y"}, "n": {"NULL": True}}}]},
        "t": {"S": "t" * 3000},
    }
    for number in range(700)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transfers")


@pytest.fixture(scope="module")
def filled(folder: Path) -> Iterator[Server]:
    """A server with a table of several pages, and a bucket."""
    settings = folder / "jedlik.toml"
    settings.write_text(f'[buckets.mine]\nurl = "{(folder / "bucket").as_uri()}"\n')
    server = Server(folder / "log", config=settings, data_dir=folder / "data")
    client = server.client()
    client.create_table(TableName="source", **TABLE)
    for first in range(0, len(ITEMS), 25):
        puts = [{"PutRequest": {"Item": item}} for item in ITEMS[first : first + 25]]
        client.batch_write_item(RequestItems={"source": puts})
    yield server
    server.kill()


def jedlik(folder: Path, *arguments: str, server: Server | None = None, config: str = "jedlik.toml") -> Any:
    through = () if server is None else ("--endpoint-url", server.url)
    return run_jedlik(*arguments, *through, "--config", str(folder / config))


def place(folder: Path, name: str) -> str:
    return name if name.startswith("bucket://") else str(folder / name)


def unfinished(folder: Path) -> set[Path]:
    """What exports that have not ended well leave there. Those of other tests may have left some."""
    return {*folder.glob("*.part*"), *folder.glob(".jedlik-*")}


def held(server: Server, table: str) -> list[dict[str, Any]]:
    pages = server.client().get_paginator("scan").paginate(TableName=table)
    return sorted((item for page in pages for item in page["Items"]), key=lambda item: int(item["s"]["N"]))


@pytest.mark.parametrize("target", ["plain.json", "packed.json.gz", "bucket://mine/deep/packed.json.zst"])
def test_what_is_exported_can_be_imported(filled: Server, folder: Path, target: str) -> None:
    target = place(folder, target)
    before = unfinished(folder)
    made = jedlik(folder, "export", "source", target, server=filled)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"700 items of source are in {target}\n"
    assert unfinished(folder) == before
    table = f"table-{target.rpartition('.')[2]}"
    filled.client().create_table(TableName=table, **TABLE)
    back = jedlik(folder, "import", target, table, server=filled)
    assert (back.returncode, back.stdout) == (0, f"700 items of {target} are in {table}\n")
    assert held(filled, table) == ITEMS


def test_a_store_is_exported_without_a_server(filled: Server, folder: Path) -> None:
    made = jedlik(folder, "export", "source", place(folder, "stored.json"), "--data-dir", str(folder / "data"))
    assert made.returncode == 0, made.stderr
    through = jedlik(folder, "export", "source", place(folder, "scanned.json"), server=filled)
    assert through.returncode == 0, through.stderr
    both = [
        sorted(map(json.dumps, map(orjson.loads, (folder / name).read_bytes().splitlines())))
        for name in ("stored.json", "scanned.json")
    ]
    assert both[0] == both[1]
    again = jedlik(folder, "export", "source", place(folder, "stored.json"), server=filled)
    assert (again.returncode, f"there is something in {folder / 'stored.json'} already" in again.stderr) == (2, True)


def test_the_region_is_that_of_the_environment_or_the_profile(filled: Server, folder: Path) -> None:
    filled.client(region_name="eu-west-1").create_table(TableName="elsewhere", **TABLE)
    profiles = folder / "aws-config"
    profiles.write_text("[profile ireland]\nregion = eu-west-1\n")
    for number, environment in enumerate(
        (
            {"AWS_DEFAULT_REGION": "eu-west-1"},
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"},
            {"AWS_CONFIG_FILE": str(profiles), "AWS_PROFILE": "ireland"},
        )
    ):
        target = place(folder, f"elsewhere-{number}.json")
        variables = {"AWS_ENDPOINT_URL_DYNAMODB": filled.url} | environment
        made = run_jedlik("export", "elsewhere", target, "--config", str(folder / "jedlik.toml"), **variables)
        assert (made.returncode, made.stdout) == (0, f"0 items of elsewhere are in {target}\n"), made.stderr


def test_an_export_of_a_store_that_is_not_there_leaves_nothing(filled: Server, folder: Path) -> None:
    target = place(folder, "nothing.json")
    where = ("--data-dir", str(folder / "data"))
    made = jedlik(folder, "export", "source", target, *where, "--region", "ap-south-1")
    reason = f"there is no store of region ap-south-1 in {folder / 'data'}: --region and --account name another"
    assert (made.returncode, made.stderr) == (2, f"jedlik: {reason}\n")
    made = jedlik(folder, "export", "no-such-table", target, *where)
    assert (made.returncode, "there is no table no-such-table in " in made.stderr) == (2, True)
    assert not list(folder.glob("nothing.json*"))


def of_table(server: Server, name: str) -> list[str]:
    """The table, as the note of an export names it."""
    table = server.client().describe_table(TableName=name)["Table"]
    return [table["TableArn"], table["TableId"], server.url]


@pytest.mark.parametrize("is_of_it", [True, False])
def test_an_interrupted_export_goes_on(filled: Server, folder: Path, is_of_it: bool) -> None:
    """If it is of the same table: another of its name has nothing of what was written."""
    first = filled.client().scan(TableName="source", ConsistentRead=True, Limit=10)
    lines = b"".join(
        transfer_targets.json_line(transfer_targets.wire(item, transfer_targets.to_text)) for item in first["Items"]
    )
    packed = gzip.compress(lines)
    (folder / "torn.json.gz.part").write_bytes(packed + b"what a kill has left")
    key = transfer_targets.wire(first["LastEvaluatedKey"], transfer_targets.to_text)
    of = of_table(filled, "source")
    if not is_of_it:
        of[1] = "00000000-0000-0000-0000-000000000000"
    note = {"Of": of, "At": [len(packed), 10, key]}
    (folder / "torn.json.gz.part.json").write_text(json.dumps(note))
    made = jedlik(folder, "export", "source", place(folder, "torn.json.gz"), server=filled)
    assert (made.returncode, made.stdout) == (0, f"700 items of source are in {folder / 'torn.json.gz'}\n")
    content = (folder / "torn.json.gz").read_bytes()
    (folder / "torn.json.gz").unlink()
    # It goes on behind what was there: the first page is a gzip of its own.
    assert content.startswith(packed) == is_of_it
    found = [orjson.loads(line)["Item"] for line in gzip.decompress(content).splitlines()]
    assert sorted(int(item["s"]["N"]) for item in found) == list(range(700))


def test_an_import_goes_on_and_names_what_it_refuses(filled: Server, folder: Path) -> None:
    filled.client().create_table(TableName="partly", **TABLE)
    lines = [orjson.dumps({"Item": {"p": {"S": "a"}, "s": {"N": str(number)}}}) for number in range(40)]
    lines[30:32] = [b"nonsense", orjson.dumps({"Item": {"p": {"S": "no sort key"}}})]
    (folder / "partly.zst").write_bytes(zstandard.compress(b"\n".join(lines)))
    source = place(folder, "partly.zst")
    note = transfer_notes.of("import", "partly", f"{filled.url} us-east-1", source)
    state = Path(folder / "partly.zst").stat()
    of = [of_table(filled, "partly")[1], [state.st_size, state.st_mtime_ns]]
    note.write_text(json.dumps({"Of": of, "At": [10, 0, 10]}))
    made = jedlik(folder, "import", place(folder, "partly.zst"), "partly", server=filled)
    assert made.returncode == 1
    *refused, last = made.stdout.splitlines()
    assert [line.partition(":")[0] for line in refused] == ["line 31", "line 32"]
    assert last == f"38 items of {folder / 'partly.zst'} are in partly, 2 lines were refused"
    # The first ten lines were put before, by the import that was interrupted.
    assert [int(item["s"]["N"]) for item in held(filled, "partly")] == [*range(10, 30), *range(32, 40)]
    assert not note.exists()
    # A note of what the source was before, or of an earlier table of the name, counts for nothing.
    for other in ([of[0], [1, 2]], ["another", of[1]]):
        note.write_text(json.dumps({"Of": other, "At": [30, 0, 30]}))
        made = jedlik(folder, "import", place(folder, "partly.zst"), "partly", server=filled)
        assert made.stdout.endswith(f"38 items of {folder / 'partly.zst'} are in partly, 2 lines were refused\n")
    assert [int(item["s"]["N"]) for item in held(filled, "partly")] == [*range(30), *range(32, 40)]
    missing = jedlik(folder, "import", place(folder, "partly.zst"), "missing", server=filled)
    assert (missing.returncode, "ResourceNotFoundException" in missing.stderr) == (2, True)


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[str]:
    """The URL of a web server that has the files of a folder."""
    (folder / "web").mkdir()
    with served(partial(Objects, directory=str(folder / "web"))) as url:
        yield url


class Objects(SimpleHTTPRequestHandler):
    """A server of files, which takes them with PUT, too, as S3 does. One whose name begins with `closed` it refuses."""

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        path = Path(self.translate_path(self.path))
        refused = path.name.startswith("closed")
        if not refused:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.send_response(403 if refused else 200)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def end_headers(self) -> None:
        if self.command == "GET":
            self.send_header("ETag", '"x"')
        super().end_headers()


@contextmanager
def served(handler: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def away(folder: Path, web: str) -> str:
    """The name of settings with a bucket at that server, by its URL."""
    options = f'endpoint = "{web}"\nregion = "us-east-1"\naccess_key_id = "me"\nsecret_access_key = "secret"\n'
    (folder / "away.toml").touch(0o600)
    (folder / "away.toml").write_text(
        f'[buckets.other]\nurl = "s3://away"\nskip_signature = "true"\n[buckets.mine]\nurl = "s3://away/deep"\n{options}'
    )
    return "away.toml"


@pytest.mark.parametrize("name", ["s3://away/deep/er/items.json.gz", "file://{}/by url.json.zst", "{web}/put.ion"])
def test_what_is_at_a_url_is_written_and_read(
    filled: Server, folder: Path, web: str, away: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.endswith("ion"):
        pytest.importorskip("amazon.ion")
    monkeypatch.chdir(folder)
    url = name.replace("{web}", web).format(folder)
    made = jedlik(folder, "export", "source", url, server=filled, config=away)
    assert (made.returncode, made.stdout) == (0, f"700 items of source are in {url}\n"), made.stderr
    table = f"url-{name.rpartition('.')[2]}"
    filled.client().create_table(TableName=table, **TABLE)
    back = jedlik(folder, "import", url, table, server=filled, config=away)
    assert (back.returncode, back.stdout) == (0, f"700 items of {url} are in {table}\n"), back.stderr
    assert held(filled, table) == ITEMS
    assert not list(folder.glob(".jedlik-*"))
    if name.startswith("s3"):
        assert (folder / "web" / "away" / "deep" / "er" / "items.json.gz").exists()


def test_what_could_not_be_sent_is_sent_again(
    filled: Server, folder: Path, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without another read of the table, which is gone then. Credentials may be options."""
    monkeypatch.chdir(folder)
    client = filled.client()
    client.create_table(TableName="gone", **TABLE)
    client.put_item(TableName="gone", Item={"p": {"S": "a"}, "s": {"N": "1"}})
    options = ("--store-option", f"endpoint={web}", "--store-option", "skip_signature=true")
    url = "s3://away/closed.json"
    made = jedlik(folder, "export", "gone", url, *options, server=filled)
    assert (made.returncode, "cannot write closed.json" in made.stderr) == (2, True), made.stderr
    client.delete_table(TableName="gone")
    monkeypatch.setattr(Objects, "translate_path", lambda self, path: str(folder / "web" / "opened.json"))
    again = jedlik(folder, "export", "gone", url, *options, server=filled)
    assert (again.returncode, again.stdout) == (0, f"1 items of gone are in {url}\n"), again.stderr
    assert orjson.loads((folder / "web" / "opened.json").read_bytes()) == {"Item": {"p": {"S": "a"}, "s": {"N": "1"}}}
    assert not list(folder.glob(".jedlik-*"))


@pytest.mark.parametrize(
    ("target", "options", "reason"),
    [
        ("s3://away/x.json", (), "credentials are needed: one of access_key_id, skip_signature, in [buckets.NAME]"),
        ("s3://away/", ("skip_signature=true",), "'s3://away/' names no object: s3://away/KEY"),
        ("file://host/x.json", (), "'file://host/x.json' must be like file:///folder/file"),
        ("x.json", ("skip_signature=true",), "--store-option is for buckets, and x.json is in none"),
        ("bucket://none/x.json", (), "there is no bucket 'none' in the settings"),
    ],
)
def test_what_cannot_be_a_target_is_refused(
    filled: Server, folder: Path, target: str, options: tuple[str, ...], reason: str
) -> None:
    given = [part for one in options for part in ("--store-option", one)]
    made = jedlik(folder, "export", "source", target, *given, server=filled)
    assert (made.returncode, reason in made.stderr) == (2, True), made.stderr


def test_a_file_that_cannot_be_written_is_named(
    filled: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = str(tmp_path / "no-folder" / "x.json")
    made = jedlik(folder, "export", "source", target, server=filled)
    assert (made.returncode, made.stderr) == (2, f"jedlik: [Errno 2] No such file or directory: '{target}.part'\n")
    # The source of an import may be in a folder that is read-only.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert transfer_notes.of("import", "t", "endpoint", str(tmp_path / "a.json")).parent == Path()


TEXTS = ["plain", "", "one, two", 'say "hi"', " spaces ", "\ufeffmark", "ű;|\t"]


@pytest.mark.parametrize("stored", [False, True])
def test_csv_is_written_and_read(filled: Server, folder: Path, stored: bool) -> None:
    client = filled.client()
    source, back = f"flat-{stored}", f"back-{stored}"
    for table in (source, back):
        client.create_table(TableName=table, **TABLE)
    items = [{"p": {"S": "a"}, "s": {"N": str(n)}, 'the "text"': {"S": text}} for n, text in enumerate(TEXTS)]
    for item in items:
        client.put_item(TableName=source, Item=item)
    client.put_item(TableName=source, Item={"p": {"S": "a"}, "s": {"N": "90"}, "count": {"N": "7"}})
    target = place(folder, f"{source}.csv.gz")
    through = ("--data-dir", str(folder / "data")) if stored else ("--endpoint-url", filled.url)
    made = jedlik(folder, "export", source, target, *through)
    assert (made.returncode, made.stdout) == (0, f"8 items of {source} are in {target}\n"), made.stderr
    assert made.stderr.splitlines() == [
        "jedlik: numbers come back from CSV as strings: count",
        'jedlik: not every item has these, and they come back from CSV as empty strings: the "text", count',
    ]
    assert gzip.decompress(Path(target).read_bytes()).splitlines()[:2] == [b'p,s,"the ""text""",count', b"a,0,plain,"]
    done = jedlik(folder, "import", target, back, server=filled)
    assert (done.returncode, done.stdout) == (0, f"8 items of {target} are in {back}\n")
    empty = {"count": {"S": ""}}
    last = {"p": {"S": "a"}, "s": {"N": "90"}, 'the "text"': {"S": ""}, "count": {"S": "7"}}
    assert held(filled, back) == [*(item | empty for item in items), last]
    assert not list(folder.glob(f"{source}*.part*"))


def test_keys_of_indexes_that_csv_has_not_are_named(tmp_path: Path) -> None:
    keys = {"p": "B", "i": "N"}
    form = transfer_sources.Form("CSV", "NONE")
    line = transfer_targets.line_of(form, keys)
    (tmp_path / "lines").write_bytes(line({"p": {"B": "AAE="}}) + line({"i": {"N": "1"}, "p": {"B": "AAI="}}))
    with (tmp_path / "made").open("wb") as out:
        losses = transfer_targets.make_csv(tmp_path / "lines", out, form, keys)
    assert (tmp_path / "made").read_bytes() == b'p,i\n"AAE=",\n"AAI=",1\n'
    assert list(losses.lines()) == ["items without these keys of indexes cannot be imported from CSV: i"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"L": []}, "CSV cannot have the attribute x, which is of type L: export JSON or Ion"),
        ({"B": b"1"}, "CSV cannot have the attribute x, which is of type B: export JSON or Ion"),
        ({"S": "a\nb"}, "CSV cannot have the attribute x, because of a line break in it: export JSON or Ion"),
    ],
)
def test_what_csv_cannot_have_is_named(filled: Server, folder: Path, value: dict[str, Any], reason: str) -> None:
    table = f"deep-{next(iter(value))}"
    filled.client().create_table(TableName=table, **TABLE)
    filled.client().put_item(TableName=table, Item={"p": {"S": "a"}, "s": {"N": "1"}, "x": value})
    made = jedlik(folder, "export", table, place(folder, f"{table}.csv"), server=filled)
    assert (made.returncode, reason in made.stderr) == (2, True), made.stderr
    assert not (folder / f"{table}.csv").exists()


CSV = b'p,s,text\na,1,"one, two"\na,2,plain\nb,no number,x\na,3\n'


@pytest.mark.parametrize("name", ["items.csv", "items.CSV.gz", "items.csv.zst?version=1"])
def test_csv_of_a_web_server_is_imported(
    filled: Server, folder: Path, web: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    content = gzip.compress(CSV) if ".gz" in name else zstandard.compress(CSV) if ".zst" in name else CSV
    (folder / "web" / name.partition("?")[0]).write_bytes(content)
    table = f"csv-{len(name)}"
    filled.client().create_table(TableName=table, **TABLE)
    made = jedlik(folder, "import", f"{web}/{name}", table, server=filled)
    assert made.returncode == 1, made.stderr
    first, second, last = made.stdout.splitlines()
    assert first.startswith("line 5: it has 2 values")
    assert second.startswith("line 4: ")
    assert last == f"2 items of {web}/{name} are in {table}, 2 lines were refused"
    assert held(filled, table) == [
        {"p": {"S": "a"}, "s": {"N": "1"}, "text": {"S": "one, two"}},
        {"p": {"S": "a"}, "s": {"N": "2"}, "text": {"S": "plain"}},
    ]
    # What is interrupted goes on, with the header.
    note = transfer_notes.of("import", table, f"{filled.url} us-east-1", f"{web}/{name}")
    assert not note.exists()
    note.write_text(json.dumps({"Of": [of_table(filled, table)[1], None], "At": [1, 0, 2]}))
    again = jedlik(folder, "import", f"{web}/{name}", table, server=filled)
    assert again.stdout.splitlines()[-1] == f"2 items of {web}/{name} are in {table}, 2 lines were refused"


def test_amazon_ion_is_imported(filled: Server, folder: Path, web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("amazon.ion")
    monkeypatch.chdir(folder)
    (folder / "web" / "items.ion").write_bytes(b'$ion_1_0 {Item:{p:"a",s:1.,cover:{{/9j/}}}}\n')
    filled.client().create_table(TableName="of-ion", **TABLE)
    made = jedlik(folder, "import", f"{web}/items.ion", "of-ion", server=filled)
    assert made.returncode == 0, made.stderr
    assert held(filled, "of-ion") == [{"p": {"S": "a"}, "s": {"N": "1"}, "cover": {"B": b"\xff\xd8\xff"}}]


def test_what_a_web_server_has_not_is_named(filled: Server, folder: Path, web: str) -> None:
    made = jedlik(folder, "import", f"{web}/missing.csv", "source", server=filled)
    assert (made.returncode, f"{web}/missing.csv: HTTP Error 404" in made.stderr) == (2, True)
