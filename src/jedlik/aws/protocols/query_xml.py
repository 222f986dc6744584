"""The answers of the query protocol: an operation's result, or an error, in XML.

Source: "AWS Query protocol" in Smithy's documentation.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from jedlik.aws.protocols.wire_models import WireModel


def answer(model: WireModel, operation: str, result: Mapping[str, Any] | None, request_id: str) -> bytes:
    """The document of a result."""
    output = model.operations[operation].get("output")
    inner = ""
    if output is not None:
        content = "".join(_members(model, output["shape"], result or {}))
        wrapper = output.get("resultWrapper")
        inner = content if wrapper is None else f"<{wrapper}>{content}</{wrapper}>"
    namespace = model.metadata["xmlNamespace"]
    told = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return f'<{operation}Response xmlns="{namespace}">{inner}{told}</{operation}Response>\n'.encode()


def refusal(model: WireModel, code: str, message: str, is_fault: bool, request_id: str) -> bytes:
    """The document of an error, which is the server's fault or the sender's."""
    kind = "Receiver" if is_fault else "Sender"
    error = f"<Type>{kind}</Type><Code>{code}</Code><Message>{escaped(message)}</Message>"
    namespace = model.metadata["xmlNamespace"]
    told = f"<Error>{error}</Error><RequestId>{request_id}</RequestId>"
    return f'<ErrorResponse xmlns="{namespace}">{told}</ErrorResponse>\n'.encode()


def _members(model: WireModel, shape: str, value: Mapping[str, Any]) -> Iterator[str]:
    for name, member in model.shapes[shape]["members"].items():
        if value.get(name) is not None:
            yield from _element(model, member.get("locationName", name), member["shape"], value[name])


def _element(model: WireModel, name: str, shape: str, value: Any) -> Iterator[str]:
    definition = model.shapes[shape]
    kind = definition["type"]
    if kind == "list":
        member = definition["member"]
        if definition.get("flattened"):
            for element in value:
                yield from _element(model, name, member["shape"], element)
            return
        yield f"<{name}>"
        for element in value:
            yield from _element(model, member.get("locationName", "member"), member["shape"], element)
        yield f"</{name}>"
    elif kind == "map":
        yield f"<{name}>"
        for key, content in value.items():
            yield "<entry>"
            yield from _element(model, definition["key"].get("locationName", "key"), definition["key"]["shape"], key)
            named = definition["value"].get("locationName", "value")
            yield from _element(model, named, definition["value"]["shape"], content)
            yield "</entry>"
        yield f"</{name}>"
    elif kind == "structure":
        yield f"<{name}>"
        yield from _members(model, shape, value)
        yield f"</{name}>"
    else:
        yield f"<{name}>{_scalar(kind, value)}</{name}>"


def _scalar(kind: str, value: Any) -> str:
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "blob":
        return b64encode(value).decode()
    if kind == "timestamp":
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return escaped(str(value))


def escaped(text: str) -> str:
    """A text in XML, in which most control characters cannot stand at all: they are left out.

    The standard library has an `escape` in a package whose import takes a twentieth of a server's start.
    """
    kept = "".join(c for c in text if c >= " " or c in "\t\n\r")
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
