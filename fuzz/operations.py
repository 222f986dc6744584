"""Every operation, with requests made by changing valid ones, and with arbitrary headers and bodies.

What must hold: see `fuzz.service`. An input is up to three requests to one region, so that the later ones see the
changes of the first.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from fuzz.choices import Choices
from fuzz.definitions import ITEM, REQUESTS, stocked, stream_requests

SERVICE = stocked()
STREAM_OPERATIONS = stream_requests(SERVICE)
ASKED = [
    *((b"DynamoDB_20120810." + name.encode(), request) for name, request in REQUESTS if name != "ListStreams"),
    *((b"DynamoDBStreams_20120810." + name.encode(), request) for name, request in STREAM_OPERATIONS),
    *((b"DynamoDBStreams_20120810." + name.encode(), request) for name, request in REQUESTS if name == "ListStreams"),
]
"""Targets and requests."""

Place = tuple[Any, Any]
"""A dict or list, and a key or position in it."""
REQUESTS_PER_INPUT = 3
CHANGES = 8
MOST_PLACES = 1000
LONGEST_REPEATED = 1 << 16
"""The most places in a request: a larger one is not changed further. A string longer than this is not repeated."""


def places(value: Any) -> Iterator[Place]:
    """The path of a place in a request, from the outside in."""
    pending = [value]
    while pending:
        inside = pending.pop(0)
        entries = inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
        for key, entry in entries:
            yield inside, key
            pending.append(entry)


PARTS = [part[key] for _, request in ASKED for part, key in places(request)]
"""Every value in a valid request, to be put anywhere else."""
MEMBERS = sorted({key for _, request in ASKED for _, key in places(request) if isinstance(key, str)})
ODDITIES: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    1e400,
    1.5,
    "",
    " ",
    "\x00",
    "\ud800",
    "é" * 130,
    "x" * 300,
    "1" * 5000,
    "0" * 5000 + "1",
    {"N": "1e" + "0" * 5000 + "1"},
    {"N": "0" * 5000 + "1"},
    {"N": "1e" + "9" * 5000},
    {"NS": ["1e-" + "0" * 5000 + "1"]},
    "1e130",
    "-0",
    "9" * 39,
    [],
    {},
    [None],
    {"": None},
    {"S": ""},
    {"N": "1e-131"},
    {"B": "="},
    {"SS": []},
    {"NS": ["1", "1.0"]},
    {"M": {"": {"S": "x"}}},
    {"L": [{}]},
    {"S": "a", "N": "1"},
    ITEM,
    {"S": "x" * 2049},
    {"S": "y" * 420_000},
    {"B": "AAAA" * 512},
]

TOO_DEEP = b'{"Item":{"a":' + b'{"L":[' * 2000 + b"]}" * 2000 + b"}}"
"""Replaces values that are nested too deeply for Python to copy or to write."""


def _replace(choices: Choices, inside: Any, key: Any) -> None:
    inside[key] = copy.deepcopy(choices.one_of(ODDITIES))


def _transplant(choices: Choices, inside: Any, key: Any) -> None:
    inside[key] = copy.deepcopy(choices.one_of(PARTS))


def _write(choices: Choices, inside: Any, key: Any) -> None:
    inside[key] = choices.text()


def _edit(choices: Choices, inside: Any, key: Any) -> None:
    text = inside[key]
    if isinstance(text, str):
        start = choices.below(len(text) + 1)
        inside[key] = text[:start] + choices.text() + text[start + choices.below(4) :]


def _count(choices: Choices, inside: Any, key: Any) -> None:
    inside[key] = choices.below(1 << 16) - 1000


def _remove(choices: Choices, inside: Any, key: Any) -> None:
    del inside[key]


def _rename(choices: Choices, inside: Any, key: Any) -> None:
    if isinstance(inside, dict):
        inside[choices.one_of(MEMBERS) if choices.below(4) else choices.text()] = inside.pop(key)


def _add(choices: Choices, inside: Any, key: Any) -> None:
    if isinstance(inside, dict):
        inside[choices.one_of(MEMBERS)] = copy.deepcopy(choices.one_of(PARTS))
    else:
        inside.append(copy.deepcopy(choices.one_of(PARTS)))


def _repeat(choices: Choices, inside: Any, key: Any) -> None:
    if isinstance(inside, list):
        inside += [copy.deepcopy(inside[key]) for _ in range(choices.below(128))]
    elif isinstance(inside[key], str) and len(inside[key]) < LONGEST_REPEATED:
        inside[key] *= choices.below(64)


def _nest(choices: Choices, inside: Any, key: Any) -> None:
    wrap: Callable[[Any], Any] = choices.one_of(
        [
            lambda value: [value],
            lambda value: {"L": [value]},
            lambda value: {"M": {"x": value}},
            lambda value: {"S": value},
            lambda value: {"L": [value], "S": None},
        ]
    )
    for _ in range(choices.below(256)):
        inside[key] = wrap(inside[key])


_CHANGES = (_replace, _transplant, _write, _edit, _count, _remove, _rename, _add, _repeat, _nest)


def _request(choices: Choices) -> tuple[bytes, bytes]:
    """A target and a body."""
    target, valid = choices.one_of(ASKED)
    request = copy.deepcopy(valid)
    try:
        for _ in range(choices.below(CHANGES)):
            there = list(places(request))
            if not there or len(there) > MOST_PLACES:
                break
            inside, key = there[choices.below(1 << 16) % len(there)]
            choices.one_of(_CHANGES)(choices, inside, key)
        return target, json.dumps(request).encode()
    except RecursionError:
        return target, TOO_DEEP


HEADER_NAMES = (
    b"x-amz-target",
    b"content-type",
    b"content-encoding",
    b"accept-encoding",
    b"authorization",
    b"x-amz-date",
    b"x-amz-security-token",
    b"host",
    b"origin",
)
HEADER_VALUES = (
    b"",
    b"application/json",
    b"application/x-amz-json-1.1; charset=utf-8",
    b"gzip",
    b"deflate",
    b"identity",
    b"br;q=1, gzip;q=0.5, *;q=x",
    b"http://localhost:3000",
    b"http://example.com",
    b"[::1]:8000",
    b"DynamoDB_20120810.None",
    b"AWS4-HMAC-SHA256 Credential=a/b/eu-west-1/d/e, SignedHeaders=host, Signature=",
)


def attempt(data: bytes) -> None:
    """One to three requests."""
    SERVICE.reset()
    choices = Choices(data)
    for _ in range(choices.below(REQUESTS_PER_INPUT) + 1):
        target, body = _request(choices)
        headers = {b"x-amz-target": target}
        for _ in range(max(choices.below(8) - 4, 0)):
            name = choices.one_of(HEADER_NAMES)
            headers[name] = choices.one_of(HEADER_VALUES) if choices.below(2) else choices.short()
        match choices.below(8):
            case 5:
                body = choices.short()
            case 6:
                start = choices.below(len(body) + 1)
                body = body[:start] + choices.short() + body[start + choices.below(8) :]
            case 7:
                start = choices.below(len(body) + 1)
                body = body[:start] + choices.take(6) * choices.below(1 << 12) + body[start:]
        SERVICE.post(headers, body)


SEEDS = [
    *(bytes((0, number)) for number in range(len(ASKED))),
    *(
        bytes((0, number, 1, 0, place, change, 7, 9, 9))
        for number in range(len(ASKED))
        for place in (0, 2, 7)
        for change in range(len(_CHANGES))
    ),
    # Deep nesting inside an element of which there are too many.
    *(
        bytes((0, number, 2, 0, place, _CHANGES.index(_nest), 1, 200, 0, element, _CHANGES.index(_repeat), 120))
        for number in range(len(ASKED))
        for place in (12, 20)
        for element in (1, 3)
    ),
]
