"""docs/reference/coverage.md, made from the declarations, the service model, the record and the differences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jedlik.dynamodb import wording
from jedlik.dynamodb.service import SERVICES
from jedlik.process import services as process_services
from reference import members
from reference.differences import DIFFERENCES

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "reference" / "recorded.json"
DOCUMENT = ROOT / "docs" / "reference" / "coverage.md"

_HEAD = """\
# What is covered of DynamoDB, and of the services beside it

Made by `make reference`; not to be changed by hand. `make test` fails when this page is out of date.

## What is followed

AWS changes its answers over time, and not in all regions at once. `jedlik/dynamodb/wording.py` says whose are followed:

| region | recorded | service model | operations |
|---|---|---|---|
| {region} | {date} | botocore {model} | {served} of {all} |

## How to read this page

The members are those of the service model. What is said of them comes from the tests in `tests/dynamodb`, which send
their requests with boto3 to a real server, and is noted while they run:

- **accepted**: a request with this member has been answered, if only with a failed condition. **refused**: tests have
  sent it, and every request with it was refused. **not tried**: no test has sent it.
- **returned**: some answer had this member. **not seen**: none had.

The limits of this: that a test has sent a member or was given one does not mean that it looks at all it does, though
tests here assert exact answers; a member that is accepted may be refused with other values, or beside other members;
and what is tested in another way (raw HTTP, the handlers in one process, other languages' clients) is not noted.
Members inside attribute values are not listed, `[]` stands for the elements of a list, `{{}}` for the values of a map.
"""
MOST_NAMED = 100
"""Missing operations of a service that are named: EC2 has many hundreds."""


def document() -> str:
    """The page."""
    record = json.loads(RECORD.read_text())
    calls = record["calls"]
    known = members.operations()
    served = {name for service in SERVICES for name in service.operations if name in known}
    lines = [
        _HEAD.format(
            region=wording.REGION,
            date=wording.RECORDED,
            model=record["model"],
            served=len(served),
            all=len(known),
        ),
        "## Operations",
        "",
        "| operation | | accepted | refused | not tried | returned | not seen |",
        "|---|---|---|---|---|---|---|",
        *(_summary(name, calls.get(name), name in served) for name in known),
        "",
        "The figures count members, those inside others included.",
        "",
        "## Known differences",
        "",
        "| about | here | why |",
        "|---|---|---|",
        *(f"| {about} | {here} | {reason} |" for about, here, reason in DIFFERENCES),
        "",
        "## Other services",
        "",
        "| service | API version | served | refused by name |",
        "|---|---|---|---|",
        *_others_served(),
        "",
        "## Members",
    ]
    for name in sorted(served):
        lines += ["", f"### {name}", "", *_operation(name, calls.get(name, _NOTHING))]
    return "\n".join(lines) + "\n"


def _others_served() -> Iterator[str]:
    """A row for each other AWS service here: what it does, and what it refuses."""
    for service in process_services.SERVICES:
        if service in SERVICES or service.api_version is None:  # One of our own.
            continue
        all_names = members.names_of(service.name)
        served_names = [name for name in all_names if name in service.operations]
        refused = [f"`{name}`" for name in all_names if name not in service.operations]
        shown = ", ".join(f"`{name}`" for name in served_names)
        others = ", ".join(refused) if len(refused) <= MOST_NAMED else f"{len(refused)} others"
        yield f"| {service.name} | {service.api_version} | {shown} | {others or 'none'} |"


_NOTHING: dict[str, list[str]] = {"accepted": [], "refused": [], "returned": []}


def _summary(name: str, noted: dict[str, list[str]] | None, is_served: bool) -> str:
    if not is_served:
        return f"| `{name}` | refused by name | | | | | |"
    model, noted = members.operations()[name], noted or _NOTHING
    sent, given = members.all_of(model.input_shape), members.all_of(model.output_shape)
    counts = [len(noted["accepted"]), len(noted["refused"])]
    counts.append(len(sent) - sum(counts))
    counts += [len(noted["returned"]), len(given) - len(noted["returned"])]
    return f"| [`{name}`](#{name.lower()}) | served | {' | '.join(map(str, counts))} |"


def _operation(name: str, noted: dict[str, list[str]]) -> Iterator[str]:
    model = members.operations()[name]
    sent = dict.fromkeys(members.all_of(model.input_shape), "not tried")
    sent |= dict.fromkeys(noted["refused"], "refused") | dict.fromkeys(noted["accepted"], "accepted")
    given = dict.fromkeys(members.all_of(model.output_shape), "not seen")
    given |= dict.fromkeys(noted["returned"], "returned")
    for heading, paths in (("request", sent), ("answer", given)):
        if paths:
            yield from (f"| {heading} | | inside it |", "|---|---|---|")
            yield from _rows(paths)
            yield ""
    if not given:
        yield "The answer has no members."


def _rows(paths: dict[str, str]) -> Iterator[str]:
    """A row for each member of the request or answer itself: its status, and the members inside it that have
    another."""
    for member in dict.fromkeys(map(members.top, paths)):
        inside = {path: paths[path] for path in paths if path != member and members.top(path) == member}
        same = sum(status == paths[member] for status in inside.values())
        others = [f"{status}: {_named(inside, status, member)}" for status in _others(inside.values(), paths[member])]
        all_alike = [f"all {len(inside)}"] if inside and same == len(inside) else []
        yield f"| `{member}` | {paths[member]} | {'; '.join(all_alike or others)} |"


def _others(statuses: Iterable[str], but: str) -> list[str]:
    return [status for status in dict.fromkeys(statuses) if status != but]


def _named(inside: dict[str, str], status: str, member: str) -> str:
    """The members that have a status. If a member and one inside it share the status, only the outer one is named."""
    paths = [path for path, of in inside.items() if of == status]
    outer = [path for path in paths if not any(_is_inside(path, other) for other in paths)]
    return ", ".join(f"`{path.removeprefix(member).lstrip('[]{}.')}`" for path in outer)


def _is_inside(path: str, other: str) -> bool:
    return path != other and path.startswith(other) and path[len(other)] in ".[{"


def write() -> None:
    """Write the page."""
    DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
    DOCUMENT.write_text(document())


def is_for_this_model() -> bool:
    """Whether the record was made with the installed service model. Another one may have other members."""
    record: dict[str, Any] = json.loads(RECORD.read_text())
    return bool(record["model"] == members.VERSION)
