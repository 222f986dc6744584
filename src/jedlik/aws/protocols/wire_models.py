"""Service models as the codecs read them: shapes by name, and what each operation takes, answers and is refused with.

They are botocore's data files, read when a service is first asked for something: a server starts with none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from jedlik.aws.shapes import service_model

Definition = dict[str, Any]
"""A shape of the model."""


@dataclass(frozen=True, slots=True)
class WireModel:
    """A service's model, without its documentation."""

    metadata: dict[str, Any]
    operations: dict[str, dict[str, Any]]
    shapes: dict[str, Definition]

    def input_shape(self, operation: str) -> str | None:
        """The name of the shape of what an operation takes; None if it takes nothing."""
        return _shape_of(self.operations[operation].get("input"))

    def output_shape(self, operation: str) -> str | None:
        """The name of the shape of what an operation answers; None if that is nothing."""
        return _shape_of(self.operations[operation].get("output"))

    def message_member(self, error: str) -> str:
        """What the text of an error is called: `Message` where its shape says so, else `message`."""
        members = self.shapes.get(error, {}).get("members", {})
        return "Message" if "Message" in members else "message"

    def code(self, error: str) -> str:
        """What an error is called in the query protocol: what its shape says, else as the shape."""
        return str(self._about(error).get("code", error))

    def status(self, error: str, otherwise: int) -> int:
        """The status that an error's shape says."""
        is_fault = self.shapes.get(error, {}).get("fault", False)
        return int(self._about(error).get("httpStatusCode", 500 if is_fault else otherwise))

    def _about(self, error: str) -> dict[str, Any]:
        about: dict[str, Any] = self.shapes.get(error, {}).get("error", {})
        return about


def _shape_of(reference: dict[str, Any] | None) -> str | None:
    return None if reference is None else str(reference["shape"])


@cache
def wire_model(service: str, version: str) -> WireModel:
    """The model of a service in one of its versions."""
    read = service_model.read(service, version)
    return WireModel(read["metadata"], read["operations"], read["shapes"])
