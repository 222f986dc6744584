"""Answers for services that are not here, each in the protocol of its request: an SDK shows the text to its user.

The status is never one after which clients retry.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from jedlik.aws import answers
from jedlik.aws.protocols.cbor_values import encoded
from jedlik.aws.protocols.codecs import CBOR, FORM, JSON_1_1, XML, CborCodec, media_type
from jedlik.aws.protocols.query_xml import ec2_refusal, escaped
from jedlik.aws.routing import speaks_cbor
from jedlik.wire.messages import Request, Response

CBOR_1_1 = b"application/x-amz-cbor-1.1"
CONTENT_TYPES = {answers.JSON_1_0, JSON_1_1, CBOR_1_1}
"""The content types of requests with a target; the answer has the same."""
NOT_FOUND = 404
NOT_IMPLEMENTED = 501

CODE = "UnknownOperationException"
"""The code of the error, in JSON and CBOR."""
ACTION_CODE = "InvalidAction"
"""The code of the error in answers to forms."""
S3_CODE = "NotImplemented"
REST_XML = ("s3", "s3express", "s3-object-lambda", "s3-outposts", "cloudfront", "route53")
"""The services whose requests are in their paths and whose bodies are XML; those of others are JSON. By their names in
credential scopes."""


def answer(service: str, here: Sequence[str], request: Request, request_id: str, more: bytes = b"") -> Response:
    """The answer to a request for a service that is not among those `here`, or not in the request's protocol; with
    `more` header lines."""
    if service in here:
        text = f"Jedlik serves {service}, but not in this protocol."
    else:
        text = f"Jedlik does not serve {service} at this endpoint. It serves {listed(here)}."
    headers = request.headers
    given = media_type(headers.get(b"content-type", b""))
    status = 400
    if speaks_cbor(request):
        more += CborCodec.headers
        content_type, body = CBOR, in_cbor(text)
    elif b"x-amz-target" in headers:
        if b"x-amzn-query-mode" in headers:
            more += b"x-amzn-query-error: %b;Sender\r\n" % CODE.encode()
        content_type = given if given in CONTENT_TYPES else answers.JSON
        body = in_cbor(text) if given == CBOR_1_1 else in_json(text)
    elif given == FORM or b"Action=" in request.target:
        content_type, body = XML, (in_ec2_xml if service == "ec2" else in_query_xml)(text, request_id)
    elif service in REST_XML:
        status, content_type, body = NOT_IMPLEMENTED, answers.XML, in_s3_xml(text, request_id)
    else:
        more += b"x-amzn-ErrorType: %b\r\n" % CODE.encode()
        status, content_type, body = NOT_FOUND, answers.JSON, in_json(text)
    return answers.response(status, content_type, body, request_id, more)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def in_json(text: str) -> bytes:
    """The error in JSON, in the form of AWS JSON and REST JSON."""
    return orjson.dumps({"__type": CODE, "message": text})


def in_cbor(text: str) -> bytes:
    """The same in CBOR."""
    return encoded({"__type": CODE, "message": text})


def in_query_xml(text: str, request_id: str) -> bytes:
    """The error in the form of the query protocol."""
    error = f"<Type>Sender</Type><Code>{ACTION_CODE}</Code><Message>{escaped(text)}</Message>"
    return f"<ErrorResponse><Error>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>\n".encode()


def in_ec2_xml(text: str, request_id: str) -> bytes:
    """The error as EC2 has it."""
    return ec2_refusal(ACTION_CODE, text, request_id)


def in_s3_xml(text: str, request_id: str) -> bytes:
    """The error as S3 has it."""
    error = f"<Code>{S3_CODE}</Code><Message>{escaped(text)}</Message><RequestId>{request_id}</RequestId>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{error}</Error>\n'.encode()
