"""`jedlik export` and `jedlik import`: a table to and from a file, for people.

A line is an item: {"Item": {...}}, as in AWS's exports, which can be imported, too. The file may be compressed (.gz,
.zst), and may be an object of a bucket of the settings: bucket://NAME/KEY. Both go through a running server, which may
be any that speaks DynamoDB's protocol; --data-dir exports from a store instead, in one state of it.

What is interrupted goes on when it is started again. An export writes FILE.part, each page compressed by itself, and
notes in FILE.part.json where to go on. An import notes in a file beside its source how many lines it has put.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from jedlik.cli import progress, transfer_sources
from jedlik.cli.program import Command, Refusal, say
from jedlik.cli.setting_options import (
    NO_OPTIONS,
    account_id,
    config_file,
    own_account,
    root_key_in_environment,
    root_key_options,
)
from jedlik.cli.store_commands import needed_root_key
from jedlik.cli.transfer_sources import WEB, WebObject
from jedlik.config import BUCKETS, ROOT_KEY, Settings

if TYPE_CHECKING:
    from jedlik.dynamodb.backups.import_sources import Chunked
    from jedlik.regions.layout import Stored
    from jedlik.storage.object_store import ObjectStore
    from jedlik.upkeep.opening import Reader

ENDPOINT = "http://127.0.0.1:8000"
BUCKET = "bucket://"
BATCH = 25
"""Items in a request: DynamoDB's limit."""
LEAST_REST, MOST_REST = 0.05, 5.0
"""Seconds between two attempts to write what a server had no capacity for."""
SNAPSHOT_ROWS = 1000

F = TypeVar("F", bound=Callable[..., Any])

_endpoint = click.option(
    "--endpoint-url", default=ENDPOINT, show_default=True, envvar="AWS_ENDPOINT_URL_DYNAMODB", help="The server's URL."
)
_region = click.option("--region", default="us-east-1", show_default=True, envvar="AWS_REGION", help="The region.")
_profile = click.option("--profile", help="The profile of AWS's configuration files with the access key.")


def _through_a_server(command: F) -> F:
    """Give a command the options that find its server."""
    for one in (_profile, _region, _endpoint):
        command = one(command)
    return command


@click.command("export", cls=Command)
@config_file
@click.argument("table")
@click.argument("target")
@_through_a_server
@click.option("--data-dir", type=click.Path(path_type=Path), help="Export from the store in this data folder instead.")
@click.option("--account", "of_account", callback=account_id, help="The account of that store.")
@root_key_options
@click.pass_context
def export(
    context: click.Context, /, table: str, target: str, data_dir: Path | None, of_account: str | None, **given: Any
) -> None:
    """Write the items of TABLE to TARGET, a file or bucket://NAME/KEY, a line each in DynamoDB JSON.

    It is compressed if its name ends with .gz or .zst. An export that was interrupted goes on when it is started again.
    Through a server, items that change meanwhile may be there as they were before or after; --data-dir exports one
    state, and needs the root key if the store is sealed.
    """
    root_key = {name: given.pop(name) for name in list(given) if name.startswith(ROOT_KEY)}
    server = given
    in_bucket = target.startswith(BUCKET)
    file = _note_of("export", table, server["endpoint_url"], target).with_suffix("") if in_bucket else Path(target)
    if file.exists() and not in_bucket:
        raise Refusal(f"there is something in {file} already")
    compress = _compressor(target)
    if data_dir is None:
        count = _export(_client(**server), table, file, compress)
    else:
        settings = Settings(data_dir=data_dir, root_key=root_key_in_environment(), **root_key)
        count = _export_store(settings, (of_account or own_account(), server["region"]), table, (file, compress))
    if in_bucket:
        store, key = _place(context, target)
        _run(store.put_file(key, file))
        file.unlink()
    say(f"{count} items of {table} are in {target}")


@click.command("import", cls=Command)
@config_file
@click.argument("source")
@click.argument("table")
@_through_a_server
@click.pass_context
def import_(context: click.Context, /, source: str, table: str, **server: Any) -> None:
    """Put the items of SOURCE into TABLE, which must exist.

    SOURCE is a file, bucket://NAME/KEY, or a URL of http or https. It is DynamoDB JSON, or what the end of its name
    means: .csv or .ion; and compressed, if .gz or .zst follow. The first line of CSV names the attributes. An import
    that was interrupted goes on when it is started again. Records that are no items of the table are printed, and the
    exit code is then 1.
    """
    note = _note_of("import", table, f"{server['endpoint_url']} {server['region']}", source)
    store: Chunked
    if source.startswith(WEB):
        store, key = WebObject(source), ""
    else:
        store, key = _place(context, source)
    put, refused = _import(_client(**server), table, (store, key, source), note)
    say(f"{put} items of {source} are in {table}" + (f", {refused} lines were refused" if refused else ""))
    if refused:
        context.exit(1)


def _client(endpoint_url: str, region: str, profile: str | None) -> Any:
    """A client of DynamoDB. Raises Refusal."""
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(parameter_validation=False, retries={"mode": "standard", "max_attempts": 10})
    try:
        session = botocore.session.Session(profile=profile)
        if session.get_credentials() is None:
            session.set_credentials("none", "none")  # A server with --auth off takes any.
        return session.create_client("dynamodb", endpoint_url=endpoint_url, region_name=region, config=config)
    except BotoCoreError as error:
        raise Refusal(str(error)) from error


def _asked(call: Callable[..., Any], **request: Any) -> Any:
    """The answer of a request. Raises Refusal."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**request)
    except (BotoCoreError, ClientError) as error:
        raise Refusal(str(error)) from error


def _run(work: Any) -> Any:
    import asyncio

    from jedlik.storage.object_store import ObjectStoreError

    try:
        return asyncio.run(work)
    except ObjectStoreError as error:
        raise Refusal(str(error)) from error


def _place(context: click.Context, url: str) -> tuple[ObjectStore, str]:
    """The object store and the name in it of a file or a bucket's object. Raises Refusal."""
    from jedlik.regions import object_places
    from jedlik.storage.object_store import ObjectStore, ObjectStoreError

    try:
        if not url.startswith(BUCKET):
            path = Path(url).absolute()
            return ObjectStore(path.parent.as_uri(), {}), path.name
        name, _, key = url.removeprefix(BUCKET).partition("/")
        return object_places.bucket_store(name, "", context.meta[NO_OPTIONS].get(BUCKETS, {})), key
    except (ObjectStoreError, object_places.NoBucket) as error:
        raise Refusal(str(error)) from error


def _note_of(what: str, table: str, endpoint: str, place: str) -> Path:
    """The file that notes how far an export or an import is: beside the other file, or, if that is in a bucket, in the
    working directory."""
    folder = Path() if place.startswith((BUCKET, *WEB)) else Path(place).parent
    return folder / f".jedlik-{what}-{sha256(f'{table} {endpoint} {place}'.encode()).hexdigest()[:16]}.json"


# Exports


Compress = Callable[[bytes], bytes]


def _compressor(name: str) -> Compress:
    """What compresses a page: pages that are compressed one by one can be put together."""
    if name.endswith(".gz"):
        return gzip.compress
    if name.endswith(".zst"):
        import zstandard

        return zstandard.ZstdCompressor().compress
    return bytes


class _Part(NamedTuple):
    """How far an export is."""

    size: int
    """Bytes of the file that are whole."""
    items: int
    key: dict[str, Any] | None
    """Where the next page begins."""


def _export(client: Any, table: str, file: Path, compress: Compress) -> int:
    """Export through a server; how many items."""
    total = _asked(client.describe_table, TableName=table)["Table"]["ItemCount"]
    part, note = file.with_name(f"{file.name}.part"), file.with_name(f"{file.name}.part.json")
    at = _Part(0, 0, None)
    if note.exists() and part.exists():
        at = _Part(*json.loads(note.read_text()))
    counted = [at.items]
    with (
        part.open("r+b" if part.exists() else "w+b") as out,
        progress.shown(f"exporting {table}", total, lambda: counted[0]),
    ):
        out.truncate(at.size)
        out.seek(at.size)
        while True:
            start = {} if at.key is None else {"ExclusiveStartKey": _wire(at.key, _from_text)}
            page = _asked(client.scan, TableName=table, ConsistentRead=True, **start)
            out.write(compress(b"".join(_line(item) for item in page["Items"])))
            key = page.get("LastEvaluatedKey")
            at = _Part(out.tell(), at.items + len(page["Items"]), None if key is None else _wire(key, _to_text))
            _sync(out)
            _note(note, at)
            counted[0] = at.items
            if key is None:
                break
    part.replace(file)
    note.unlink()
    return at.items


def _line(item: dict[str, Any]) -> bytes:
    return json.dumps({"Item": _wire(item, _to_text)}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _to_text(raw: Any) -> Any:
    from base64 import b64encode

    return b64encode(raw).decode()


def _from_text(text: Any) -> Any:
    from base64 import b64decode

    return b64decode(text)


def _wire(item: dict[str, Any], binary: Callable[[Any], Any]) -> dict[str, Any]:
    """An item with its binary values in the other form: bytes for a client, base64 in JSON."""
    return {name: _wire_value(value, binary) for name, value in item.items()}


def _wire_value(value: dict[str, Any], binary: Callable[[Any], Any]) -> dict[str, Any]:
    [(type_, content)] = value.items()
    match type_:
        case "B":
            return {type_: binary(content)}
        case "BS":
            return {type_: [binary(element) for element in content]}
        case "L":
            return {type_: [_wire_value(element, binary) for element in content]}
        case "M":
            return {type_: _wire(content, binary)}
    return value


def _export_store(settings: Settings, of: tuple[str, str], name: str, to: tuple[Path, Compress]) -> int:
    """Export from the store of an account's region, in one state of it; how many items."""
    from jedlik.process.services import SERVICES
    from jedlik.regions import layout
    from jedlik.regions.layout import Stored
    from jedlik.storage.engine import StorageError
    from jedlik.upkeep.opening import Reader

    store = Stored(layout.store_folder(settings.data_dir, *of), *of)
    reader = Reader(SERVICES, partial(needed_root_key, settings))
    file, compress = to
    part = file.with_name(f"{file.name}.part")
    counted = [0]
    try:
        with part.open("wb") as out, closing(_stored(store, reader, name)) as pages:
            total = next(pages)
            assert isinstance(total, int)
            with progress.shown(f"exporting {name}", total, lambda: counted[0]):
                for page in pages:
                    assert isinstance(page, list)
                    out.write(compress(b"".join(page)))
                    counted[0] += len(page)
            _sync(out)
        part.replace(file)
    except (StorageError, OSError) as error:
        raise Refusal(str(error)) from error
    return counted[0]


def _stored(store: Stored, reader: Reader, name: str) -> Generator[int | list[bytes], None, None]:
    """How many items a table of a store has, and then its lines, some at a time. Raises StorageError."""
    from itertools import islice

    from jedlik.dynamodb import catalog
    from jedlik.dynamodb.model import items, keys
    from jedlik.regions import keyspaces
    from jedlik.storage.counters import counter
    from jedlik.upkeep import opening

    with opening.view(store.path) as stored:
        view = reader.opened(stored, store)
        table = catalog.stored(view.get(catalog.key(name)))
        if table is None:
            raise Refusal(f"there is no table {name} in {store.path}")
        yield counter(view.get(keys.item_count_key(table.id, 0)))
        rows = view.rows(table.prefix, keyspaces.prefix_end(table.prefix))
        while some := list(islice(rows, SNAPSHOT_ROWS)):
            yield [b'{"Item":' + items.json_of(value) + b"}\n" for _, value in some]


def _note(note: Path, state: Any) -> None:
    """Note how far something is, whole or not at all."""
    made = note.with_name(note.name + ".new")
    made.write_text(json.dumps(state))
    made.replace(note)


def _sync(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())


# Imports


def _import(client: Any, table: str, source: tuple[Chunked, str, str], note: Path) -> tuple[int, int]:
    """Put the records of a source into a table; how many were put, and how many refused."""
    store, key, name = source
    form = transfer_sources.form_of(name)
    definitions = _asked(client.describe_table, TableName=table)["Table"]["AttributeDefinitions"]
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in definitions}
    put, refused, passed = json.loads(note.read_text()) if note.exists() else (0, 0, 0)
    counts = [put, refused, passed]

    async def work() -> None:
        from jedlik.dynamodb.backups import import_sources, ion_records

        if form.format == "ION" and not ion_records.is_installed():
            raise Refusal(ion_records.MISSING)
        parser = transfer_sources.Parser(form, types)
        batch: dict[str, Any] = {}
        async for line in transfer_sources.lines(store, key, form):
            if parser.takes(line) or line.number <= passed:
                continue
            try:
                batch[str(line.number)] = parser.item(line)
            except import_sources.Malformed as error:
                _refuse(counts, line.number, str(error))
                continue
            if len(batch) == BATCH:
                _put(client, table, batch, counts)
                counts[2] = line.number
                _note(note, counts)
                batch = {}
        _put(client, table, batch, counts)

    with progress.shown(f"importing {name}", None, lambda: counts[0]):
        _run(work())
    note.unlink(missing_ok=True)
    return counts[0], counts[1]


def _refuse(counts: list[int], number: int | str, reason: str) -> None:
    counts[1] += 1
    say(f"line {number}: {reason}")


def _put(client: Any, table: str, batch: dict[str, Any], counts: list[int]) -> None:
    """Put some items, by their lines. Where a batch is refused, its items are put one by one."""
    from botocore.exceptions import BotoCoreError, ClientError

    if not batch:
        return
    try:
        items = {number: _wire(item, _from_text) for number, item in batch.items()}
        left = [{"PutRequest": {"Item": item}} for item in items.values()]
        rest = LEAST_REST
        while left:
            answer = client.batch_write_item(RequestItems={table: left})
            left = answer.get("UnprocessedItems", {}).get(table, [])
            if left:
                time.sleep(rest)
                rest = min(2 * rest, MOST_REST)
        counts[0] += len(batch)
    except (ClientError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] != "ValidationException":
            raise Refusal(str(error)) from error
        if len(batch) == 1:
            [number] = batch
            _refuse(counts, number, str(error))
            return
        for number, item in batch.items():
            _put(client, table, {number: item}, counts)
    except BotoCoreError as error:
        raise Refusal(str(error)) from error
