"""Options from the table of settings, so that each setting is an option, an environment variable and a key of the
configuration file without being written three times.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from jedlik import config
from jedlik.cli.program import Refusal
from jedlik.config import CONFIG_VARIABLE, VARIABLE, Settings, SettingsError, options
from jedlik.regions import layout
from jedlik.settings_file import DEFAULT_FILE, check_variables, from_file

F = TypeVar("F", bound=Callable[..., Any])

NO_OPTIONS = f"{__name__}.no-options"
"""The key under which a context keeps settings of the file that are not options: the peers' endpoints and secret."""
FILE = f"{__name__}.file"
"""The key under which a context keeps the name of the configuration file."""

FORMS: dict[object, tuple[tuple[type, ...], str]] = {
    click.INT: ((int, str), "a whole number"),
    click.FLOAT: ((int, float, str), "a number"),
    click.BOOL: ((bool, str), "true or false"),
    click.STRING: ((str, int), "a string; several values are separated by commas"),
}
"""What a value in the configuration file may be, by the parser of the option. Parsers are more generous: they take True
for 1, 1.5 for 1, and a list for the text that describes it."""
OTHER_FORM = ((str,), "a string")


class SettingOption(click.Option):
    """An option whose errors name the file or the variable that an invalid value is from."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """The value, parsed. Raises Refusal and BadParameter."""
        source = ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.DEFAULT_MAP:
            types, form = FORMS.get(self.type, OTHER_FORM)
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                raise Refusal(f"{ctx.meta[FILE]}: {self.name} must be {form}, not {value!r}")
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as error:
            if source is ParameterSource.DEFAULT_MAP:
                raise Refusal(f"{ctx.meta[FILE]}: {self.name}: {error.message}") from error
            if source is ParameterSource.ENVIRONMENT:
                raise Refusal(f"the environment: {self.envvar}: {error.message}") from error
            raise


def option(name: str) -> Callable[[F], F]:
    """The option, with its environment variable, for a setting."""
    kind, meaning = get_args(_hints()[name])
    default = next(setting.default for setting in options() if setting.name == name)
    switch = "--" + name.replace("_", "-")
    if kind is bool:
        switch += "/--no-" + name.replace("_", "-")
    return click.option(
        switch,
        name,
        cls=SettingOption,
        type=parameter_type(kind),
        default=default,
        show_default=default is not None,
        envvar=VARIABLE + name.upper(),
        help=meaning,
    )


@cache
def _hints() -> dict[str, Any]:
    """The annotations of the settings. To work them out takes as long as to read ten modules."""
    return get_type_hints(Settings, include_extras=True)


def parameter_type(kind: Any) -> Any:
    """The parser of the values of a setting's type."""
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    of = next(part for part in get_args(kind) or (kind,) if part is not NoneType)
    return click.Path(path_type=Path) if of is Path else of


def account_id(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """The id of an account, checked, where one is given."""
    if given is not None and not layout.is_account(given):
        raise click.BadParameter(f"{given!r} must be twelve digits")
    return given


def own_account() -> str:
    """The server's own account, from the environment or the file, for commands whose --account is any account."""
    given = os.environ.get(VARIABLE + "ACCOUNT") or (click.get_current_context().default_map or {}).get("account")
    if given is None:
        return config.DEFAULT_ACCOUNT
    if not layout.is_account(str(given)):
        raise Refusal(f"account must have {config.ACCOUNT_DIGITS} digits, not {given!r}")
    return str(given)


_taken: list[str] = []


def root_key_in_environment() -> str:
    """The root key in the environment, which no longer has it then: processes that we start must not inherit it."""
    if config.ROOT_KEY_VARIABLE in os.environ:
        _taken[:] = [os.environ.pop(config.ROOT_KEY_VARIABLE)]
    return _taken[0] if _taken else ""


def root_key_options(command: F) -> F:
    """Give a command the options that name where the root key is."""
    for name in reversed(config.ROOT_KEY_SOURCES):
        command = option(name)(command)
    return command


def root_key_options_of_maker(command: F) -> F:
    """The same for a command that makes a root key for a new folder, unless the settings forbid that."""
    return root_key_options(option("root_key_make")(command))


def all_settings(command: F) -> F:
    """Give a command an option for each setting, in the table's order."""
    for setting in reversed(options()):
        command = option(setting.name)(command)
    return command


def read_file(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Take defaults from the configuration file. Called before the options that they are the defaults of."""
    try:
        check_variables(os.environ)
        given = dict(from_file(path))
        context.meta[FILE] = path or DEFAULT_FILE
        context.meta[NO_OPTIONS] = {name: given.pop(name) for name in config.NO_OPTIONS if name in given}
        context.default_map = given
    except SettingsError as error:
        raise Refusal(str(error)) from error


config_file = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar=CONFIG_VARIABLE,
    callback=read_file,
    is_eager=True,
    expose_value=False,
    help="Configuration file in TOML.  [default: jedlik.toml, if it is there]",
)
