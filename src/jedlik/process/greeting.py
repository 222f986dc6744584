"""The greeting of a server that has started: its URL, its data folder, how to use it and how to stop it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

import click

from jedlik import __version__
from jedlik.config import Settings
from jedlik.regions.root_key_record import Found

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Wildcard addresses, each with the loopback address of the same family."""
ANY_REGION = "eu-central-1"
"""The region that examples name where any is served."""


def greeting(
    settings: Settings, url: str, dax: str | None, key: Found | None, *, endpoints: Mapping[str, str], colour: bool
) -> str:
    """The greeting of the server with these settings that is found at `url`, its DAX at `dax`, its root key, and where
    its VPC endpoints are."""
    facts = {
        "data": data(settings),
        **({} if key is None else {"root key": root_key(key)}),
        "regions": ", ".join(settings.served) or "any; each has tables of its own",
        "access": access(settings),
        **({} if dax is None else {"DAX": f"{nearby(dax)}; caches up to {settings.dax_memory} MB"}),
        **({"endpoint": ", ".join(f"{name} on {at}" for name, at in endpoints.items())} if endpoints else {}),
        "process": f"{os.getpid()}, with {settings.worker_count} worker{'' if settings.worker_count == 1 else 's'}",
    }
    region = settings.served[0] if settings.served else ANY_REGION
    near = nearby(url)
    commands = [f"export AWS_ENDPOINT_URL_DYNAMODB={near} AWS_ENDPOINT_URL_DYNAMODB_STREAMS={near}"]
    if settings.auth == "on":
        commands += [f"export AWS_DEFAULT_REGION={region} AWS_PROFILE=jedlik"]
    else:
        commands += [f"export AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local"]
    commands += ["aws dynamodb list-tables"]
    title = f"Jedlik {__version__} serves DynamoDB on {url}"
    return "\n".join(
        [
            click.style(title, bold=True) if colour else title,
            "",
            *(f"  {name:8} {fact}" for name, fact in facts.items()),
            "",
            "The AWS CLI and SDKs come here with this in their environment:",
            "",
            *(f"  {click.style(command, fg='cyan') if colour else command}" for command in commands),
            "",
            "Ctrl-C stops the server.",
            "",
        ]
    )


def data(settings: Settings) -> str:
    """Where the data is, and how safe."""
    if settings.in_memory:
        return "in memory, gone when the server stops"
    return f"{settings.data_dir.absolute()}; an acknowledged write is on the disk"


def root_key(key: Found) -> str:
    """Where the root key is, and what happens without it."""
    new = "JUST MADE: keep a copy, not beside copies of the data. " if key.is_new else ""
    return f"{key.source.name}; {new}{'W' if new else 'w'}ithout it, the data is lost"


def access(settings: Settings) -> str:
    """Who may do what."""
    if settings.auth == "on":
        return "signed requests only: `jedlik credentials create --profile jedlik` makes an access key"
    if settings.allow_unauthenticated:
        return "ANYBODY who reaches this address may do everything (--allow-unauthenticated)"
    return "from this machine only, with any credentials (--auth off)"


def nearby(url: str) -> str:
    """The URL by which a program on this machine finds the server."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0]
    return f"{parts.scheme}://{EVERYWHERE.get(host, host)}:{parts.port}"
