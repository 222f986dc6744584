"""Service models as the codecs read them: shapes by name, and the input, the output and the errors of each operation.

They are botocore's data files, each read at the first request of its service: a server starts without them.
"""

from __future__ import annotations

from collections.abc import Iterable
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

    @property
    def is_ec2(self) -> bool:
        """Whether it is in EC2's variant of the query protocol."""
        return bool(self.metadata.get("protocol") == "ec2")

    def only(self, operations: Iterable[str]) -> WireModel:
        """The part of the model that some operations need."""
        kept = {name: self.operations[name] for name in operations}
        shapes: dict[str, Definition] = {}
        left = [one for name in kept for one in (self.input_shape(name), self.output_shape(name)) if one is not None]
        while left:
            name = left.pop()
            if name not in shapes:
                definition = shapes[name] = self.shapes[name]
                references = (*definition.get("members", {}).values(), definition.get("member"))
                left += [one["shape"] for one in references if one is not None]
        return WireModel(self.metadata, kept, shapes)

    def input_shape(self, operation: str) -> str | None:
        """The name of the shape of an operation's input; None if it has no input."""
        return _shape_of(self.operations[operation].get("input"))

    def output_shape(self, operation: str) -> str | None:
        """The name of the shape of an operation's output; None if it has no output."""
        return _shape_of(self.operations[operation].get("output"))

    def message_member(self, error: str) -> str:
        """The member with the text of an error: `Message` if its shape has that, otherwise `message`."""
        members = self.shapes.get(error, {}).get("members", {})
        return "Message" if "Message" in members else "message"

    def code(self, error: str) -> str:
        """The name of an error in the query protocol: the code of its shape, or else the shape's name."""
        return str(self._about(error).get("code", error))

    def status(self, error: str, otherwise: int) -> int:
        """The status of an error's shape."""
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
    read = service_model.kept(service, version)
    return WireModel(read["metadata"], read["operations"], read["shapes"])
