"""Codecs: how a service's requests are read and its answers written, one for each protocol and service.

A codec is made from the service's model, which is read at the first request. A request that breaks its shape is refused
with the service's own error: STS has ValidationError for that, the tagging service InvalidParameterException. Errors
that all services share (a wrong signature, an unknown operation) have other names in the query protocol. A model
defines the code, the status and the members of its errors.

Sources: "AWS JSON 1.1 protocol", "AWS Query protocol" and "Smithy RPC v2 CBOR protocol" in Smithy's documentation;
"Common Errors" in the API references of STS and IAM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from jedlik.aws.errors import (
    AccessDeniedException,
    ExpiredTokenException,
    IncompleteSignatureException,
    InternalServerError,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    SerializationException,
    ServiceError,
    ServiceUnavailable,
    ThrottlingException,
    UnknownOperationException,
    UnrecognizedClientException,
    ValidationException,
)
from jedlik.aws.protocols import cbor_values, query_forms, query_xml, shaped_results
from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.aws.protocols.json_1_0 import parsed_json
from jedlik.aws.protocols.query_forms import Malformed, WrongValue
from jedlik.aws.protocols.shaped_results import Forms
from jedlik.aws.protocols.wire_models import WireModel, wire_model
from jedlik.aws.shapes import shapes
from jedlik.aws.shapes.service_shapes import ServiceShapes
from jedlik.aws.stored_items import json_of

FORM = b"application/x-www-form-urlencoded"
XML = b"text/xml"
JSON_1_1 = b"application/x-amz-json-1.1"
CBOR = b"application/cbor"

QUERY_ERRORS = {
    AccessDeniedException: ("AccessDenied", 403),
    ExpiredTokenException: ("ExpiredToken", 403),
    IncompleteSignatureException: ("IncompleteSignature", 400),
    InternalServerError: ("InternalFailure", 500),
    InvalidSignatureException: ("SignatureDoesNotMatch", 403),
    MissingAuthenticationTokenException: ("MissingAuthenticationToken", 403),
    SerializationException: ("MalformedInput", 400),
    ServiceUnavailable: ("ServiceUnavailable", 503),
    ThrottlingException: ("Throttling", 400),
    UnknownOperationException: ("InvalidAction", 400),
    UnrecognizedClientException: ("InvalidClientTokenId", 403),
    ValidationException: ("ValidationError", 400),
}
"""The names and the status in the query protocol of errors that all services share. They come before errors of a model
with the same name, such as STS's ExpiredTokenException."""


def media_type(content_type: bytes) -> bytes:
    """The media type in a Content-Type header, in small letters and without parameters."""
    return content_type.partition(b";")[0].strip().lower()


class MalformedQueryString(ServiceError):
    """The form is malformed, or its fields make no input."""


class MissingAction(ServiceError):
    """The form has no Action."""


class InvalidParameterValue(ServiceError):
    """The value of a field is not of its type."""


class _Modelled:
    """The common part of codecs: a service's model, and the check of its shapes."""

    is_json = False
    """Whether the parsed body has texts for the bytes of blobs."""

    def __init__(
        self,
        service: str,
        version: str,
        invalid: type[ServiceError] = ValidationException,
        shapes: ServiceShapes | None = None,
    ) -> None:
        self._service = service
        self._version = version
        self._shapes = ServiceShapes(service=service) if shapes is None else shapes
        self._invalid = invalid
        """The error for a request that breaks the shape of an input."""
        self._checks: dict[str, Callable[[Any], dict[str, Any]]] = {}

    @cached_property
    def _model(self) -> WireModel:
        return wire_model(self._service, self._version)

    def checked(self, operation: str, parsed: Any) -> dict[str, Any]:
        """The request of an operation, whose shape is right. Raises the service's own error."""
        if self._model.input_shape(operation) is None:
            return {}
        check = self._checks.get(operation)
        if check is None:
            check = self._checks[operation] = shapes.validator(operation, self._shapes, self.is_json)
        try:
            return check({} if parsed is None else parsed)
        except ValidationException as broken:
            raise self._invalid(broken.message) from None

    def operation_of(self, parsed: Any) -> str:
        """Raises UnknownOperationException: a target or a path must name the operation."""
        raise UnknownOperationException("")

    def _result(self, operation: str, result: Mapping[str, Any] | None, forms: Forms) -> Any:
        """A result with its scalars in these forms. Raises NotOfItsShape."""
        shape = self._model.output_shape(operation)
        if shape is None:
            return {}
        return shaped_results.shaped(self._model, shape, {} if result is None else result, forms)

    def _refusal(self, error: ServiceError, type_: str, forms: Forms) -> tuple[int, bytes, dict[str, Any]]:
        """Status, header lines and members of an error. Raises NotOfItsShape for unknown members."""
        model, name, status, headers = self._model, error.name, error.status, b""
        fields = error.fields
        if type(error) not in QUERY_ERRORS and name in model.shapes:
            status = model.status(name, status)
            fields = shaped_results.shaped(model, name, fields, forms)
        if "awsQueryCompatible" in model.metadata:
            code = model.code(name)
            if type(error) in QUERY_ERRORS:
                code, _ = QUERY_ERRORS[type(error)]
            headers = f"x-amzn-query-error: {code};{'Receiver' if status >= 500 else 'Sender'}\r\n".encode()
        return status, headers, {"__type": type_, model.message_member(name): error.message, **fields}


class JsonCodec(_Modelled):
    """AWS JSON 1.1."""

    default = JSON_1_1
    headers = b""
    is_json = True

    def content_type(self, given: bytes) -> bytes | None:
        """The protocol's content type, for a request that has it or none."""
        return JSON_1_1 if media_type(given) in (b"", JSON_1_1) else None

    parsed = staticmethod(parsed_json)

    def answer(self, operation: str, result: Mapping[str, Any] | None, request_id: str) -> bytes:
        """The result as JSON."""
        return json_of(self._result(operation, result, shaped_results.JSON))

    def error(self, error: ServiceError, request_id: str) -> tuple[int, bytes, bytes]:
        """The error as JSON."""
        status, headers, body = self._refusal(error, error.name, shaped_results.JSON)
        return status, headers, json_of(body)


class CborCodec(_Modelled):
    """Smithy RPC v2 CBOR."""

    default = CBOR
    headers = b"smithy-protocol: rpc-v2-cbor\r\n"
    """Header lines of every answer."""

    def content_type(self, given: bytes) -> bytes | None:
        """The protocol's content type, for a request that has it or none."""
        return CBOR if media_type(given) in (b"", CBOR) else None

    def parsed(self, body: bytes) -> Any:
        """Raises SerializationException."""
        try:
            return cbor_values.decoded(body) if body else None
        except NotCbor as error:
            raise SerializationException(str(error)) from error

    def answer(self, operation: str, result: Mapping[str, Any] | None, request_id: str) -> bytes:
        """The result as CBOR."""
        return cbor_values.encoded(self._result(operation, result, shaped_results.CBOR))

    def error(self, error: ServiceError, request_id: str) -> tuple[int, bytes, bytes]:
        """The error as CBOR."""
        name = f"com.amazonaws.{self._service}#{error.name}"
        status, headers, body = self._refusal(error, name, shaped_results.CBOR)
        return status, self.headers + headers, cbor_values.encoded(body)


class QueryCodec(_Modelled):
    """The query protocol: forms in, XML out."""

    default = XML
    headers = b""

    def content_type(self, given: bytes) -> bytes | None:
        """XML, for a form."""
        return XML if media_type(given) == FORM else None

    def parsed(self, body: bytes) -> Any:
        """The fields of a form. Raises MalformedQueryString."""
        try:
            return query_forms.fields(body)
        except Malformed as error:
            raise MalformedQueryString(str(error)) from None

    def operation_of(self, parsed: Any) -> str:
        """The Action. Raises MissingAction, and UnknownOperationException if the service's version has no such
        action."""
        action: str = parsed.get("Action", "")
        if not action:
            raise MissingAction("The request must contain the parameter Action.")
        version = parsed.get("Version", self._version)
        if version != self._version or action not in self._model.operations:
            raise UnknownOperationException(f"Could not find operation {action} for version {version}")
        return action

    def checked(self, operation: str, parsed: Any) -> dict[str, Any]:
        """The input in the fields.

        Raises MalformedQueryString, InvalidParameterValue, and the service's own error.
        """
        try:
            found = query_forms.input_of(self._model, self._model.input_shape(operation), parsed)
        except Malformed as error:
            raise MalformedQueryString(str(error)) from None
        except WrongValue as error:
            raise InvalidParameterValue(str(error)) from None
        return super().checked(operation, found)

    def answer(self, operation: str, result: Mapping[str, Any] | None, request_id: str) -> bytes:
        """The result as XML."""
        return query_xml.answer(self._model, operation, result, request_id)

    def error(self, error: ServiceError, request_id: str) -> tuple[int, bytes, bytes]:
        """The error as XML, under its name in this protocol."""
        model, name = self._model, error.name
        code, status = QUERY_ERRORS.get(type(error)) or (model.code(name), model.status(name, error.status))
        return (
            status,
            b"",
            query_xml.refusal(model, code, error.message, status >= 500, request_id, name, **error.fields),
        )
