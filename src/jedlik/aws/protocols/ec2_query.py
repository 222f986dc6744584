"""EC2's variant of the query protocol: forms in, XML out, with names and errors of its own.

EC2 refuses a parameter that it does not know, where other services ignore it. Its model is ten times as large as any
other, so only the part is kept that the operations here need.

Source: "AWS EC2 Query protocol" in Smithy's documentation; "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from collections.abc import Collection
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
from jedlik.aws.protocols import query_forms, query_xml
from jedlik.aws.protocols.codecs import InvalidParameterValue, MalformedQueryString, QueryCodec
from jedlik.aws.protocols.query_forms import Malformed, WrongValue
from jedlik.aws.protocols.wire_models import WireModel
from jedlik.aws.shapes import service_model

NAME, VERSION = "ec2", "2016-11-15"
EC2_ERRORS: dict[type[ServiceError], tuple[str, int]] = {
    AccessDeniedException: ("UnauthorizedOperation", 403),
    ExpiredTokenException: ("RequestExpired", 400),
    IncompleteSignatureException: ("IncompleteSignature", 400),
    InternalServerError: ("InternalError", 500),
    InvalidSignatureException: ("SignatureDoesNotMatch", 403),
    MissingAuthenticationTokenException: ("MissingAuthenticationToken", 403),
    SerializationException: ("MalformedQueryString", 400),
    ServiceUnavailable: ("Unavailable", 503),
    ThrottlingException: ("RequestLimitExceeded", 503),
    UnknownOperationException: ("InvalidAction", 400),
    UnrecognizedClientException: ("AuthFailure", 401),
    ValidationException: ("InvalidParameterValue", 400),
}
"""The names and the status of errors that all services share."""
_TEXTS: dict[type[ServiceError], str] = {
    UnrecognizedClientException: "AWS was not able to validate the provided access credentials",
}
_UNAUTHORIZED = "You are not authorized to perform this operation. "
_OF_QUERIES = {"Action", "Version", "AWSAccessKeyId", "SecurityToken", "Signature", "SignatureMethod"} | {
    *("SignatureVersion", "Timestamp", "Expires"),
}
"""The parameters of every request."""


class MissingParameter(ServiceError):
    """A parameter that must be there is not."""


class NoSuchVersion(ServiceError):
    """There is no such version of the API."""


class UnknownParameter(ServiceError):
    """A parameter that the operation does not have."""


class Ec2Codec(QueryCodec):
    """The protocol of EC2."""

    def __init__(self, operations: Collection[str]) -> None:
        """`operations` are those that are here."""
        super().__init__(NAME, VERSION)
        self._operations = operations

    @cached_property
    def _model(self) -> WireModel:
        read = service_model.read(NAME, VERSION)
        return WireModel(read["metadata"], read["operations"], read["shapes"]).only(self._operations)

    def operation_of(self, parsed: Any) -> str:
        """The Action. Raises MissingParameter, NoSuchVersion, and UnknownOperationException if EC2 has no such
        action."""
        action: str = parsed.get("Action", "")
        version = parsed.get("Version", VERSION)
        if not action:
            raise MissingParameter("The request must contain the parameter Action")
        if version != VERSION:
            raise NoSuchVersion(f"The requested version ({version}) of service AmazonEC2 does not exist")
        # The model takes 30 ms to read, so it is read once, by `_model`, unless the action is not here.
        if action not in self._operations and action not in service_model.operation_names(NAME):
            raise UnknownOperationException(f"The action {action} is not valid for this web service.")
        return action

    def checked(self, operation: str, parsed: Any) -> dict[str, Any]:
        """The input in the fields. Raises UnknownParameter, MissingParameter, InvalidParameterValue and
        MalformedQueryString."""
        model = self._model
        if operation not in model.operations:
            return {}
        shape = model.input_shape(operation)
        named = query_forms.names(model, shape)
        known = {*named.values(), *_OF_QUERIES}
        for name in parsed:
            if name.partition(".")[0] not in known and not name.startswith("X-Amz-"):
                raise UnknownParameter(f"The parameter {name} is not recognized")
        try:
            found = query_forms.input_of(model, shape, parsed)
        except Malformed as error:
            raise MalformedQueryString(str(error)) from None
        except WrongValue as error:
            raise InvalidParameterValue(str(error)) from None
        for name in () if shape is None else model.shapes[shape].get("required", ()):
            if name not in found:
                raise MissingParameter(f"The request must contain the parameter {named[name]}")
        return found

    def error(self, error: ServiceError, request_id: str) -> tuple[int, bytes, bytes]:
        """The error as EC2 has it, which knows no members but the text."""
        code, status = EC2_ERRORS.get(type(error)) or (error.name, error.status)
        text = _TEXTS.get(type(error), error.message)
        if isinstance(error, AccessDeniedException):
            code, status = EC2_ERRORS[AccessDeniedException]
            text = _UNAUTHORIZED + text
        return status, b"", query_xml.ec2_refusal(code, text, request_id)
