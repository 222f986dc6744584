"""Policies of resources, bound to the users and roles that they name: nobody gets what was another's by the same name,
as on AWS.

Where such a policy is set, unique ids are put in the place of ARNs, and that text decides from then on. The policy that
is shown stays as it was given. Sessions are named by ARNs: they have no ids that last.

Source: "AWS JSON policy elements: Principal" in the IAM user guide.
"""

from __future__ import annotations

import json
from collections.abc import Callable

UniqueId = Callable[[str], str | None]
"""The unique id of the user or role with an ARN; None for anybody else, and if nobody has it."""


def nobody(name: str) -> str | None:
    """For servers that verify no signatures: they look for nobody."""
    return None


_unique_id: UniqueId = nobody


def provide(unique_id: UniqueId) -> None:
    """Look for users and roles in this way, in this process. Called once, when it begins."""
    global _unique_id
    _unique_id = unique_id


def bound(document: str, unique_id: UniqueId | None = None) -> str | None:
    """A policy that was checked, with unique ids; None if it names no users and roles that are there."""
    look = unique_id or _unique_id
    found = json.loads(document)
    statements = found["Statement"] if isinstance(found["Statement"], list) else [found["Statement"]]
    is_bound = False
    for statement in statements:
        for element in ("Principal", "NotPrincipal"):
            listed = statement.get(element)
            if isinstance(listed, dict) and "AWS" in listed:
                names = [listed["AWS"]] if isinstance(listed["AWS"], str) else listed["AWS"]
                listed["AWS"] = [_id(name, look) for name in names]
                is_bound |= listed["AWS"] != names
    return json.dumps(found) if is_bound else None


def _id(name: str, look: UniqueId) -> str:
    return name if ":assumed-role/" in name else look(name) or name
