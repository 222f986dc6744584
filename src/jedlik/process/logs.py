"""Logs on standard error: lines with colour for a person at a terminal, else one JSON object a line.

Both include the fields that the caller passes in `extra`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Literal

import click
import orjson

Form = Literal["auto", "text", "json"]
"""How a record is written; `auto` depends on what standard error is."""
Level = Literal["debug", "info", "warning", "error"]

STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What a log record has by itself; everything else in it is a field of the caller's."""

COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
"""Those of levels that want to be seen."""
LEVEL_WIDTH = 7


class JsonFormatter(logging.Formatter):
    """Time, level, logger, process, message; then the caller's fields; then the traceback, if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        line |= fields(record)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return printable(orjson.dumps(line, default=str).decode(), in_json=True)


class TextFormatter(logging.Formatter):
    """Time of day here, level, message, the caller's fields; then the traceback in lines of its own."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, or more with a traceback."""
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        level = record.levelname.lower().ljust(LEVEL_WIDTH)
        said = " ".join(f"{name}={shown(value)}" for name, value in fields(record).items())
        parts = (
            self._styled(clock, dim=True),
            self._styled(level, fg=COLOURS.get(record.levelname)),
            printable(record.getMessage()),
            self._styled(said, dim=True) if said else "",
        )
        line = " ".join(part for part in parts if part)
        if record.exc_info:
            lines = self.formatException(record.exc_info).split("\n")
            line = "\n".join([line, *map(printable, lines)])
        return line

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._colour else text


def fields(record: logging.LogRecord) -> dict[str, object]:
    """The caller's fields, without the message."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD_FIELDS}


def shown(value: object) -> str:
    """A field's value: plain where nobody can misread it, else as JSON."""
    if isinstance(value, str) and value and value.isprintable() and set(value).isdisjoint(' "='):
        return value
    return printable(orjson.dumps(value, default=str).decode(), in_json=True)


def printable(text: str, *, in_json: bool = False) -> str:
    """A text with escapes for what cannot be seen: controls, ends of lines and changes of direction.

    What a client sends may reach the log. It must neither begin a line nor talk to the terminal that shows the log.
    `text` may be JSON, which stays what it is: strings are all that may have such characters in it.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one, in_json) for one in text)


def _escaped(character: str, in_json: bool) -> str:
    code = ord(character)
    if in_json:
        return json.dumps(character)[1:-1] if code > 0x7F else f"\\u{code:04x}"
    return f"\\x{code:02x}" if code <= 0xFF else character.encode("unicode_escape").decode()


def for_people(form: Form) -> bool:
    """Whether logs of this form are read by a person at a terminal."""
    return form != "json" and sys.stderr.isatty()


def coloured() -> bool:
    """Whether what is written for people may have colour (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def start(form: Form, level: Level) -> None:
    """Send the program's logs to standard error. May be called again with other settings."""
    handler = logging.StreamHandler(sys.stderr)
    people = for_people(form)
    is_text = people or form == "text"
    handler.setFormatter(TextFormatter(colour=people and coloured()) if is_text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
