"""`jedlik export` and `jedlik import`: a table to and from a file, for people.

A line is an item: {"Item": {...}}, as in AWS's exports, which can be imported, too; or CSV or Ion, by the file's name
(`transfer_targets`, `transfer_sources`). It may be elsewhere (`transfer_places`). Both go through a running server,
which may be any that speaks DynamoDB's protocol; --data-dir exports from a store instead, in one state of it.

What is interrupted goes on when it is started again. An export writes FILE.part, each page compressed by itself, and
notes in FILE.part.json where to go on. What goes elsewhere is written here first; FILE.whole.json notes that only the
way there is left. An import notes in a file beside its source how many lines it has put (`transfer_notes`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from jedlik.cli import progress, transfer_notes, transfer_places, transfer_sources, transfer_targets
from jedlik.cli.program import Command, Refusal, complain, say
from jedlik.cli.setting_options import (
    NO_OPTIONS,
    account_id,
    config_file,
    own_account,
    root_key_in_environment,
    root_key_options,
)
from jedlik.cli.store_commands import needed_root_key
from jedlik.cli.transfer_sources import Form
from jedlik.cli.transfer_targets import from_text, to_text
from jedlik.config import BUCKETS, ROOT_KEY, Settings
from jedlik.storage.lmdb.lmdb_pages import DATA

if TYPE_CHECKING:
    from jedlik.dynamodb.backups.import_sources import Chunked
    from jedlik.regions.layout import Stored
    from jedlik.upkeep.opening import Reader

ENDPOINT = "http://127.0.0.1:8000"
DEFAULT_REGION = "us-east-1"
BATCH = 25
"""Items in a request: DynamoDB's limit."""
LEAST_REST, MOST_REST = 0.05, 5.0
"""Seconds between two attempts to write what a server had no capacity for."""
SNAPSHOT_ROWS = 1000

F = TypeVar("F", bound=Callable[..., Any])

_endpoint = click.option(
    "--endpoint-url",
    default=ENDPOINT,
    show_default=True,
    envvar=["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"],
    help="The server's URL; AWS_ENDPOINT_URL_DYNAMODB may name it, too.",
)
_region = click.option(
    "--region",
    envvar=["AWS_REGION", "AWS_DEFAULT_REGION"],
    help=f"The region; by default that of AWS_REGION, AWS_DEFAULT_REGION or the profile, or {DEFAULT_REGION}.",
)
_profile = click.option("--profile", help="The profile of AWS's configuration files with the access key.")


def _through_a_server(command: F) -> F:
    """Give a command the options that find its server."""
    for one in (_profile, _region, _endpoint):
        command = one(command)
    return command


def _store_options(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if not all(name and equals for name, equals, _ in pairs):
        raise click.BadParameter("it must be like NAME=VALUE")
    return {name: value for name, _, value in pairs}


_store_option = click.option(
    "--store-option",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_store_options,
    help="An option of the bucket's client, like endpoint, region or skip_signature; several may be given. "
    "Secrets are better in the settings: others on this machine can see options.",
)


@click.command("export", cls=Command)
@config_file
@click.argument("table")
@click.argument("target")
@_through_a_server
@_store_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="Export from the store in this data folder instead.")
@click.option("--account", "of_account", callback=account_id, help="The account of that store.")
@root_key_options
@click.pass_context
def export(
    context: click.Context, /, table: str, target: str, data_dir: Path | None, of_account: str | None, **given: Any
) -> None:
    """Write the items of TABLE to TARGET, a line each.

    TARGET is a file, bucket://NAME/KEY, or a URL: s3://BUCKET/KEY, gs://, az:// or file://, with endpoint and
    credentials from the bucket of the settings with that URL; or http or https, to which it is sent with PUT. It is
    DynamoDB JSON, or what the end of its name means: .csv or .ion; and compressed, if .gz or .zst follow. CSV has
    strings and numbers only. An export that was interrupted goes on when it is started again. Through a server, items
    that change meanwhile may be there as they were before or after; --data-dir exports one state, and needs the root
    key if the store is sealed.
    """
    root_key = {name: given.pop(name) for name in list(given) if name.startswith(ROOT_KEY)}
    elsewhere = _elsewhere(context, given.pop("store_option"))
    server, form = _with_region(**given), transfer_sources.form_of(target)
    path = transfer_places.local_path(target)
    if path is None:
        store, key = transfer_places.of(target, elsewhere)
        of_store = server["endpoint_url"] if data_dir is None else f"{data_dir.resolve()} {of_account or ''}"
        path = transfer_notes.of("export", table, f"{of_store} {server['region']}", target).with_suffix("")
    else:
        store, key = None, ""
        if elsewhere.options:
            transfer_places.of(target, elsewhere)
        if path.exists():
            raise Refusal(f"there is something in {path} already")
    whole = path.with_name(f"{path.name}.whole.json")
    sendable = transfer_notes.read(whole, []) if store is not None and path.exists() else None
    if sendable is not None:
        count: int = sendable
    elif data_dir is None:
        with transfer_places.files():
            count = _export(_client(**server), table, path, form)
    else:
        settings = Settings(data_dir=data_dir, root_key=root_key_in_environment(), **root_key)
        count = _export_store(settings, (of_account or own_account(), server["region"]), table, (path, form))
    if store is not None:
        transfer_notes.write(whole, [], count)
        with progress.shown(f"sending {table}", None, lambda: 0):
            _run(store.put_file(key, path))
        whole.unlink()
        path.unlink()
    say(f"{count} items of {table} are in {target}")


@click.command("import", cls=Command)
@config_file
@click.argument("source")
@click.argument("table")
@_through_a_server
@_store_option
@click.pass_context
def import_(context: click.Context, /, source: str, table: str, store_option: dict[str, str], **server: Any) -> None:
    """Put the items of SOURCE into TABLE, which must exist.

    SOURCE is a file, bucket://NAME/KEY, or a URL: s3://BUCKET/KEY, gs://, az:// or file://, with endpoint and
    credentials from the bucket of the settings with that URL; or http or https. It is DynamoDB JSON, or what the end of
    its name means: .csv or .ion; and compressed, if .gz or .zst follow. The first line of CSV names the attributes. An
    import that was interrupted goes on when it is started again. Records that are no items of the table are printed,
    and the exit code is then 1.
    """
    server = _with_region(**server)
    note = transfer_notes.of("import", table, f"{server['endpoint_url']} {server['region']}", source)
    store, key = transfer_places.of(source, _elsewhere(context, store_option))
    with transfer_places.files():
        put, refused = _import(_client(**server), table, (store, key, source), note)
    say(f"{put} items of {source} are in {table}" + (f", {refused} lines were refused" if refused else ""))
    if refused:
        context.exit(1)


def _elsewhere(context: click.Context, options: dict[str, str]) -> transfer_places.Settings:
    return transfer_places.Settings(context.meta[NO_OPTIONS].get(BUCKETS, {}), options)


def _with_region(endpoint_url: str, region: str | None, profile: str | None) -> dict[str, Any]:
    """What finds a server, with the region of the profile where none is named."""
    if region is None:
        import botocore.session
        from botocore.exceptions import BotoCoreError

        try:
            region = botocore.session.Session(profile=profile).get_config_variable("region") or DEFAULT_REGION
        except BotoCoreError as error:
            raise Refusal(str(error)) from error
    return {"endpoint_url": endpoint_url, "region": region, "profile": profile}


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


# Exports


class _Part(NamedTuple):
    """How far an export is."""

    size: int
    """Bytes of the file that are whole."""
    items: int
    key: dict[str, Any] | None
    """Where the next page begins."""


def _export(client: Any, table: str, file: Path, form: Form) -> int:
    """Export through a server; how many items."""
    described = _asked(client.describe_table, TableName=table)["Table"]
    total, keys = described["ItemCount"], _types(described)
    line, compress = transfer_targets.line_of(form, keys), _compressor(form)
    part, note = file.with_name(f"{file.name}.part"), file.with_name(f"{file.name}.part.json")
    of = [described.get("TableArn"), described.get("TableId"), client.meta.endpoint_url]
    noted = transfer_notes.read(note, of) if part.exists() else None
    at = _Part(0, 0, None) if noted is None else _Part(*noted)
    counted = [at.items]
    with (
        part.open("r+b" if part.exists() else "w+b") as out,
        progress.shown(f"exporting {table}", total, lambda: counted[0]),
    ):
        out.truncate(at.size)
        out.seek(at.size)
        while True:
            start = {} if at.key is None else {"ExclusiveStartKey": transfer_targets.wire(at.key, from_text)}
            page = _asked(client.scan, TableName=table, ConsistentRead=True, **start)
            out.write(compress(b"".join(line(transfer_targets.wire(item, to_text)) for item in page["Items"])))
            key = page.get("LastEvaluatedKey")
            key = None if key is None else transfer_targets.wire(key, to_text)
            at = _Part(out.tell(), at.items + len(page["Items"]), key)
            _sync(out)
            transfer_notes.write(note, of, at)
            counted[0] = at.items
            if key is None:
                break
    _finish(part, file, form, keys)
    note.unlink()
    return at.items


def _compressor(form: Form) -> transfer_targets.Compress:
    """What compresses a page. CSV is made of the pages at the end."""
    return bytes if form.format == "CSV" else transfer_targets.compressor(form)


def _finish(part: Path, file: Path, form: Form, keys: Mapping[str, str]) -> None:
    """Put a part that is whole in its place."""
    if form.format == "CSV":
        made = file.with_name(f"{file.name}.made")
        with made.open("wb") as out:
            losses = transfer_targets.make_csv(part, out, form, keys)
            _sync(out)
        made.replace(file)
        part.unlink()
        for line in losses.lines():
            complain(line)
    else:
        part.replace(file)


def _types(described: dict[str, Any]) -> dict[str, str]:
    """The types of the keys of a table and its indexes, by attribute."""
    return {one["AttributeName"]: one["AttributeType"] for one in described["AttributeDefinitions"]}


def _export_store(settings: Settings, of: tuple[str, str], name: str, to: tuple[Path, Form]) -> int:
    """Export from the store of an account's region, in one state of it; how many items."""
    from jedlik.process.services import SERVICES
    from jedlik.regions import layout
    from jedlik.regions.layout import Stored
    from jedlik.storage.engine import StorageError
    from jedlik.upkeep.opening import Reader

    store = Stored(layout.store_folder(settings.data_dir, *of), *of)
    reader = Reader(SERVICES, partial(needed_root_key, settings))
    file, form = to
    compress = _compressor(form)
    part = file.with_name(f"{file.name}.part")
    counted = [0]
    if not (store.path / DATA).exists():
        raise Refusal(
            f"there is no store of region {store.region} in {settings.data_dir}: --region and --account name another"
        )
    try:
        with _stored(store, reader, name) as table, part.open("wb") as out:
            line = None if form.format == "DYNAMODB_JSON" else transfer_targets.line_of(form, table.keys)
            with progress.shown(f"exporting {name}", table.items, lambda: counted[0]):
                for page in table.pages:
                    lines = page if line is None else [line(json.loads(one)["Item"]) for one in page]
                    out.write(compress(b"".join(lines)))
                    counted[0] += len(page)
            _sync(out)
        _finish(part, file, form, table.keys)
    except (StorageError, OSError) as error:
        raise Refusal(str(error)) from error
    return counted[0]


class _Table(NamedTuple):
    """A table of a store."""

    items: int
    keys: dict[str, str]
    """The types of its keys and those of its indexes, by attribute."""
    pages: Iterator[list[bytes]]
    """Its lines, some at a time."""


@contextmanager
def _stored(store: Stored, reader: Reader, name: str) -> Iterator[_Table]:
    """A table of a store. Raises StorageError."""
    from itertools import islice

    from jedlik.dynamodb import catalog
    from jedlik.dynamodb.backups import import_sources
    from jedlik.dynamodb.model import items, keys
    from jedlik.regions import keyspaces
    from jedlik.storage.counters import counter
    from jedlik.upkeep import opening

    with opening.view(store.path) as stored:
        view = reader.opened(stored, store)
        table = catalog.stored(view.get(catalog.key(name)))
        if table is None:
            raise Refusal(f"there is no table {name} in {store.path}: --region and --account name another store")
        rows = view.rows(table.prefix, keyspaces.prefix_end(table.prefix))

        def pages() -> Iterator[list[bytes]]:
            while some := list(islice(rows, SNAPSHOT_ROWS)):
                yield [b'{"Item":' + items.json_of(value) + b"}\n" for _, value in some]

        yield _Table(counter(view.get(keys.item_count_key(table.id, 0))), import_sources.key_types(table), pages())


def _sync(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())


# Imports


def _import(client: Any, table: str, source: tuple[Chunked, str, str], note: Path) -> tuple[int, int]:
    """Put the records of a source into a table; how many were put, and how many refused."""
    store, key, name = source
    form = transfer_sources.form_of(name)
    described = _asked(client.describe_table, TableName=table)["Table"]
    types = _types(described)
    of = [described.get("TableId"), transfer_notes.state_of(name)]
    put, refused, passed = transfer_notes.read(note, of) or (0, 0, 0)
    counts = [put, refused, passed]

    async def work() -> None:
        from jedlik.dynamodb.backups import import_sources, ion_records

        if form.format == "ION" and not ion_records.is_installed():
            raise Refusal(ion_records.MISSING)
        parser = transfer_sources.Parser(form, types)
        batch: dict[str, Any] = {}
        async for line in transfer_sources.lines(store, key, form):
            if line.is_blank or parser.takes(line) or line.number <= passed:
                continue
            try:
                batch[str(line.number)] = parser.item(line)
            except import_sources.Malformed as error:
                _refuse(counts, line.number, str(error))
                continue
            if len(batch) == BATCH:
                _put(client, table, batch, counts)
                counts[2] = line.number
                transfer_notes.write(note, of, counts)
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
        items = {number: transfer_targets.wire(item, from_text) for number, item in batch.items()}
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
