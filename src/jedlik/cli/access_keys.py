"""`jedlik credentials`: access keys, in the file that a server's settings name."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from jedlik.cli.program import Group, Refusal, say
from jedlik.cli.root_key_commands import ensure_root_key
from jedlik.cli.setting_options import (
    account_id,
    config_file,
    option,
    own_account,
    root_key_in_environment,
    root_key_options_of_maker,
)
from jedlik.config import ROOT_KEY, Settings, SettingsError

if TYPE_CHECKING:
    from jedlik.regions.root_key_record import Found
    from jedlik.root_key import RootKey

T = TypeVar("T")

PROFILE = re.compile(r"[A-Za-z0-9._@+-]+")
"""The names of profiles that every SDK can read."""


def profile_name(_: click.Context, __: click.Parameter, given: str) -> str:
    """A profile's name, checked."""
    if not PROFILE.fullmatch(given):
        raise click.BadParameter(f"{given!r} must be letters, digits and any of . _ @ + -")
    return given


@click.group(cls=Group)
def credentials() -> None:
    """Access keys, for servers that verify signatures.

    They are kept in the data folder of the server, which is found by its settings: give the --config or --data-dir, or
    the environment, that the server has.
    """


@credentials.command()
@config_file
@option("data_dir")
@option("credentials")
@click.option("--profile", default="default", callback=profile_name, help="Name of the profile.", show_default=True)
@click.option("--account", "of_account", callback=account_id, help="Account of the key; by default the server's own.")
@click.option("--user", help="IAM user whose key it is to be; by default the account itself, which may do everything.")
@click.option("--lifetime", type=click.FloatRange(min=1), help="Make a temporary key, good for so many seconds.")
@root_key_options_of_maker
def create(profile: str, of_account: str | None, user: str | None, lifetime: float | None, **given: Any) -> None:
    """Make an access key and print it as a profile of an AWS credentials file.

    SDKs and the AWS CLI read it from a file that AWS_SHARED_CREDENTIALS_FILE names, or from ~/.aws/credentials.
    """
    from jedlik.aws import credentials as access_keys
    from jedlik.regions import accounts

    root_key = opened(find_root_key(given))
    if of_account is not None and not accounts.is_there(given["data_dir"], of_account, own_account()):
        raise Refusal(f"there is no account {of_account}: make it with `jedlik account create {of_account}`")

    if user is not None:
        if lifetime is not None:
            raise Refusal("--lifetime is for keys of the account itself: a user calls sts:GetSessionToken")
        account = own_account() if of_account is None else of_account
        made_for_user = key_of_user(given["data_dir"], account, user, root_key)
        say_profile(profile, made_for_user["AccessKeyId"], made_for_user["SecretAccessKey"])
        return

    def make(path: Path) -> access_keys.Credential:
        made = access_keys.create(path, lifetime, of_account, root_key)
        click.echo(f"A server accepts this key if it keeps its keys in {path.absolute()}.", err=True)
        return made

    made = with_credentials_file(without_root_key(given), make)
    say_profile(profile, made.access_key, made.secret, made.session_token)


def without_root_key(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a command without those of the root key."""
    return {name: value for name, value in given.items() if not name.startswith(ROOT_KEY)}


def find_root_key(given: dict[str, Any]) -> Found | None:
    """The root key under which a command with these settings seals. If only a file of keys is named, and no data
    folder, the folder is not known, and the next start of the server seals."""
    try:
        settings = Settings(root_key=root_key_in_environment(), **given)
    except SettingsError as error:
        raise Refusal(str(error)) from error
    source = click.get_current_context().get_parameter_source("data_dir")
    if given["credentials"] is not None and source == ParameterSource.DEFAULT:
        return None
    return ensure_root_key(settings)


def opened(found: Found | None) -> RootKey:
    """What seals, if there is a root key."""
    from jedlik.root_key import RootKey

    root_key = RootKey()
    if found is not None:
        found.hand_to(root_key)
    return root_key


def say_profile(profile: str, access_key: str, secret: str, token: str | None = None) -> None:
    """Print an access key as a profile of an AWS credentials file."""
    say(f"[{profile}]")
    say(f"aws_access_key_id = {access_key}")
    say(f"aws_secret_access_key = {secret}")
    if token is not None:
        say(f"aws_session_token = {token}")


def key_of_user(data_dir: Path, account: str, user: str, root_key: RootKey) -> dict[str, Any]:
    """A new access key of a user, in the account's identity store, which a server may have open. Raises Refusal."""
    from jedlik.aws.errors import ServiceError
    from jedlik.iam.identity_stores import IdentityStores
    from jedlik.iam.users import access_key_of
    from jedlik.storage.engine import StorageError

    async def make() -> dict[str, Any]:
        stores = IdentityStores(Settings(data_dir=data_dir, account=account), root_key=root_key)
        try:
            identity = stores.of(account)
            if not identity.is_there:
                raise Refusal(f"account {account} has no users")
            return await access_key_of(identity, user)
        finally:
            await stores.close()

    try:
        return asyncio.run(make())
    except (ServiceError, StorageError, SettingsError) as error:
        raise Refusal(str(error)) from error


@credentials.command("list")
@config_file
@option("data_dir")
@option("credentials")
def list_(**given: Any) -> None:
    """Print the access keys of accounts, without their secrets; temporary ones with the time when they expire.

    Those of users are in IAM: `aws iam list-access-keys`.
    """
    from jedlik.aws import credentials as access_keys

    for credential in with_credentials_file(given, access_keys.kept):
        account = "" if credential.account is None else f" of account {credential.account}"
        say(credential.access_key + account + expiry(credential.expires))


def expiry(expires: float | None) -> str:
    """Describes the time when a key expires, given in epoch seconds."""
    if expires is None:
        return ""
    until = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
    return f" expired {until}" if expires <= time.time() else f" until {until}"


@credentials.command()
@config_file
@option("data_dir")
@option("credentials")
@click.argument("access_key")
def delete(access_key: str, **given: Any) -> None:
    """Delete an access key of an account; a running server refuses it within a second.

    One of a user is deleted with `aws iam delete-access-key`.
    """
    from jedlik.aws import credentials as access_keys

    if not with_credentials_file(given, lambda path: access_keys.delete(path, access_key)):
        raise click.ClickException(
            f"no account has the access key {access_key}; one of a user is deleted with `aws iam delete-access-key`"
        )


def with_credentials_file(given: dict[str, Any], do: Callable[[Path], T]) -> T:
    """Do something with the file of access keys that the settings name."""
    from jedlik.aws.credentials import CredentialsError

    try:
        return do(Settings(**given).credentials_file)
    except (CredentialsError, SettingsError) as error:
        raise Refusal(str(error)) from error
    except OSError as error:
        raise Refusal(f"cannot use {error.filename}: {error.strerror}") from error
