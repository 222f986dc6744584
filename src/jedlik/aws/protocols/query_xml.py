"""The answers of the query protocol, and of EC2's variant of it: an operation's result, or an error, in XML.

Source: "AWS Query protocol" and "AWS EC2 Query protocol" in Smithy's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jedlik.aws.protocols import shaped_results
from jedlik.aws.protocols.wire_models import WireModel

_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that cannot stand in XML at all, not even escaped: they are left out."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
"""The ampersand first. An XML parser reads an unescaped carriage return as a line feed."""


def answer(model: WireModel, operation: str, result: Mapping[str, Any] | None, request_id: str) -> bytes:
    """The document of a result. Raises NotOfItsShape."""
    output = model.operations[operation].get("output")
    inner = "<return>true</return>" if model.is_ec2 else ""
    if output is not None:
        shaped = shaped_results.shaped(model, output["shape"], result or {}, shaped_results.XML)
        content = "".join(_members(model, output["shape"], shaped))
        wrapper = output.get("resultWrapper")
        inner = content if wrapper is None else f"<{wrapper}>{content}</{wrapper}>"
    namespace = model.metadata["xmlNamespace"]
    if model.is_ec2:
        inner = f"<requestId>{request_id}</requestId>{inner}"
        return f'<{operation}Response xmlns="{namespace}">{inner}</{operation}Response>\n'.encode()
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return f'<{operation}Response xmlns="{namespace}">{inner}{metadata}</{operation}Response>\n'.encode()


def refusal(
    model: WireModel, code: str, message: str, is_fault: bool, request_id: str, name: str = "", **fields: Any
) -> bytes:
    """The document of an error, which is the server's fault or the sender's; `fields` are members of the model's shape
    for the error, which is called `name`. Raises NotOfItsShape."""
    kind = "Receiver" if is_fault else "Sender"
    more = ""
    if fields:
        more = "".join(_members(model, name, shaped_results.shaped(model, name, fields, shaped_results.XML)))
    error = f"<Type>{kind}</Type><Code>{escaped(code)}</Code><Message>{escaped(message)}</Message>{more}"
    namespace = model.metadata["xmlNamespace"]
    content = f"<Error>{error}</Error><RequestId>{request_id}</RequestId>"
    return f'<ErrorResponse xmlns="{namespace}">{content}</ErrorResponse>\n'.encode()


def ec2_refusal(code: str, message: str, request_id: str) -> bytes:
    """The document of an error as EC2 has it."""
    error = f"<Error><Code>{escaped(code)}</Code><Message>{escaped(message)}</Message></Error>"
    return f"<Response><Errors>{error}</Errors><RequestID>{request_id}</RequestID></Response>\n".encode()


def _members(model: WireModel, shape: str, value: Mapping[str, Any]) -> Iterator[str]:
    for name, member in model.shapes[shape]["members"].items():
        if name in value:
            yield from _element(model, member.get("locationName", name), member["shape"], value[name])


def _element(model: WireModel, name: str, shape: str, value: Any) -> Iterator[str]:
    definition = model.shapes[shape]
    kind = definition["type"]
    if kind not in ("structure", "list", "map"):
        yield f"<{name}>{escaped(value)}</{name}>"
        return
    if definition.get("flattened"):
        yield from _flattened(model, name, shape, value)
        return
    yield f"<{name}>"
    if kind == "structure":
        yield from _members(model, shape, value)
    elif kind == "list":
        member = definition["member"]
        for element in value:
            yield from _element(model, member.get("locationName", "member"), member["shape"], element)
    else:
        for entry in value.items():
            yield f"<entry>{''.join(_entry(model, shape, *entry))}</entry>"
    yield f"</{name}>"


def _flattened(model: WireModel, name: str, shape: str, value: Any) -> Iterator[str]:
    """A collection without an element around it."""
    definition = model.shapes[shape]
    if definition["type"] == "list":
        member = definition["member"]
        for element in value:
            yield from _element(model, member.get("locationName", name), member["shape"], element)
    else:
        for entry in value.items():
            yield f"<{name}>{''.join(_entry(model, shape, *entry))}</{name}>"


def _entry(model: WireModel, shape: str, name: str, content: Any) -> Iterator[str]:
    key, value = (model.shapes[shape][part] for part in ("key", "value"))
    yield f"<{key.get('locationName', 'key')}>{escaped(name)}</{key.get('locationName', 'key')}>"
    yield from _element(model, value.get("locationName", "value"), value["shape"], content)


def escaped(text: str) -> str:
    """A text as XML has it."""
    text = _NOT_IN_XML.sub("", text)
    for character, entity in _ENTITIES.items():
        text = text.replace(character, entity)
    return text
