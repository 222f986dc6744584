"""`jedlik serve`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from jedlik.cli.program import Command, Refusal
from jedlik.cli.setting_options import NO_OPTIONS, all_settings, config_file, root_key_in_environment
from jedlik.config import PEER_SECRET, ROOT_KEY, Settings, SettingsError
from jedlik.loading import loading
from jedlik.regions import object_places
from jedlik.secret_files import peer_secret
from jedlik.storage.object_store import ObjectStoreError


class Rereadable(Command):
    """A command that remembers its arguments, so that its settings can be read again."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Keep a copy in the context: click takes the words off the list."""
        context.obj = tuple(args)
        return super().parse_args(context, args)


def settings_of(words: Sequence[str]) -> Settings:
    """The settings of a server with these arguments, as the environment and the file are now.

    Raises SettingsError.
    """
    try:
        context = serve.make_context("serve", list(words))
        more = context.meta[NO_OPTIONS]
        secret = peer_secret(context.params["peer_secret_file"], more.get(PEER_SECRET, ()), os.environ)
        settings = Settings(**context.params, **(more | {PEER_SECRET: secret, ROOT_KEY: root_key_in_environment()}))
        object_places.check(settings)
        return settings
    except (ObjectStoreError, object_places.NoBucket) as error:
        raise SettingsError(str(error)) from error
    except click.ClickException as error:
        raise SettingsError(error.format_message()) from error


@click.command(cls=Rereadable)
@config_file
@all_settings
@click.pass_obj
def serve(words: Sequence[str], /, **_: Any) -> None:
    """Serve DynamoDB until stopped by SIGTERM or Ctrl-C.

    Each option can also be set by an environment variable, like JEDLIK_DATA_DIR, or in the configuration file, like
    data_dir = "/var/lib/jedlik". SIGHUP makes the server read all of this again, and replaces the workers, one after
    the other.
    """
    with loading():
        from jedlik.process import workers  # The other commands need not wait for a server to be loaded.
        from jedlik.process.listeners import StartError

    try:
        code = workers.run(lambda: settings_of(words))
    except (SettingsError, StartError) as error:
        raise Refusal(str(error)) from error
    sys.exit(code)
