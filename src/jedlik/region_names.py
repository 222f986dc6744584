"""Names of regions, and the folders in the data folder that their stores are in.

A region of AWS has a folder of its name. If signatures are not verified, a region may have another name, too (`local`,
`ddblocal`, `Test_1`): its folder begins with an @, and each capital letter becomes + and the small one. So no such
folder has the name of a region of AWS, of an account (twelve digits) or of a file that the server keeps there (`lock`),
and no two are equal on a file system that ignores case.
"""

from __future__ import annotations

import re

_is_aws = re.compile(
    r"(af|ap|ca|cn|eu|eu-isoe|eusc-[a-z]{2}|il|me|mx|sa|us|us-gov|us-iso|us-isob|us-isof)"
    r"-(central|north|northeast|northwest|south|southeast|southwest|east|west)-[1-9]\d?",
    re.ASCII,
).fullmatch
_is_name = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch

FORM = "1 to 64 letters, digits, hyphens and underscores"
"""The rule for a region's name if signatures are not verified, for people."""

_OTHER = "@"
_CAPITAL = "+"


def is_aws(name: str) -> bool:
    """Whether a name has the form of those of AWS's regions, in any of its partitions."""
    return _is_aws(name) is not None


def is_name(name: str) -> bool:
    """Whether a region may have this name where no signatures are verified."""
    return _is_name(name) is not None


def folder(name: str) -> str:
    """The name of the folder of a region, whose name is one."""
    if not is_name(name):
        raise ValueError(f"{name!r} is not the name of a region")
    if is_aws(name):
        return name
    return _OTHER + re.sub("[A-Z]", lambda capital: _CAPITAL + capital[0].lower(), name)


def of_folder(found: str) -> str | None:
    """The region of a folder with this name; None if it is no region's."""
    name = found
    if found.startswith(_OTHER):
        name = re.sub(r"\+([a-z])", lambda capital: capital[1].upper(), found[1:])
    return name if is_name(name) and folder(name) == found else None
