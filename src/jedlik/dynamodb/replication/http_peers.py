"""Peers elsewhere, over HTTP, with every request signed with the peer secret (`aws.peer_signatures`).

aiohttp is the client, and signatures are botocore's, as in any SDK. Over HTTPS it accepts only certificates that an
authority known to OpenSSL has signed for the host; SSL_CERT_FILE names others. So answers need no proof of the secret.
A peer whose listener demands certificates is shown the one of the settings (`peer_certificate`).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from jedlik.aws import errors
from jedlik.aws.errors import ServiceError
from jedlik.aws.peer_signatures import KEY, SERVICE, service_of
from jedlik.config import Peer
from jedlik.dynamodb.errors import ResourceInUseException, ResourceNotFoundException
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.replication.aside import WrongAnswer
from jedlik.dynamodb.replication.serving import LONGEST_WAIT, TARGET
from jedlik.memory import Exhausted, Holding, Share
from jedlik.peer_certificate import PeerCertificate, reason
from jedlik.regions.peers import Body, PeerRefuses, Peers, PeerUnreachable

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = LONGEST_WAIT + 10.0
"""For a whole answer: the longest wait at the peer, and time to send a megabyte over a slow line."""
ANSWER_BYTES = 8 * MIB
"""The most bytes of an answer, before and after decompression. A page of a copy is half a megabyte, the item that ends
it (400 KB of control characters are 2.4 MB of JSON) and the keys of its items once more: 6 MB. A Pull has less."""
LONGEST_MESSAGE = 300
"""Characters of a refusal's text that are kept: it is logged."""

REFUSALS: dict[str, type[ServiceError]] = {
    refusal.name: refusal
    for refusal in (
        errors.LimitExceededException,
        ResourceInUseException,
        ResourceNotFoundException,
        errors.ValidationException,
    )
}
"""The errors with which a region may refuse, by name. Any other error is a fault of the region, which then counts as
unreachable."""
NO_PEER = {
    refusal.name
    for refusal in (
        errors.AccessDeniedException,
        errors.IncompleteSignatureException,
        errors.InvalidSignatureException,
        errors.MissingAuthenticationTokenException,
        errors.UnrecognizedClientException,
    )
}
"""A region's answers to a server that is no peer of it: they refuse all questions, and not this one only."""

_CONTENT_TYPE = "application/x-amz-json-1.0"
_CODING = "gzip"
_GZIP = 31
"""zlib's window bits for a gzip member."""
_OK = 200
_SERVER_FAULT = 500


class HttpPeers:
    """The regions for which the settings have an endpoint."""

    def __init__(
        self, peers: Mapping[str, Peer], secret: str, memory: Share, certificate: PeerCertificate | None = None
    ) -> None:
        self._peers = peers
        self._certificate = certificate
        self._credentials = Credentials(KEY, secret)
        self._memory = memory
        """The memory for all answers together."""
        self._session: aiohttp.ClientSession | None = None

    def of(self, account: str | None) -> Peers:
        """The same for the regions of an account; None for the server's own, there as here."""
        return _OfAccount(self, service_of(account))

    async def call(self, region: str, operation: str, body: Body, service: str = SERVICE) -> Body:
        """The region's answer. Raises PeerUnreachable (PeerRefuses), WrongAnswer, and the region's refusals.

        The answer is a JSON object; its members are not checked yet.
        """
        # The client must run in a task, and handlers do not (`wire.connection`).
        return await asyncio.get_running_loop().create_task(self._call(region, operation, body, service))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _call(self, region: str, operation: str, body: Body, service: str) -> Body:
        url = self._peers[region].endpoint
        data = orjson.dumps(body)
        with self._memory.holding() as held:
            headers = self._headers(region, url, operation, data, service)
            return await self._ask(region, url, headers, data, held)

    async def _ask(self, region: str, url: str, headers: dict[str, str], data: bytes, held: Holding) -> Body:
        tls = True if self._certificate is None else self._certificate.context()
        try:
            async with self._open_session().post(
                url, data=data, headers=headers, allow_redirects=False, ssl=tls
            ) as response:
                status, content_type = response.status, response.content_type
                answer = await _read(response, held)
        except Exhausted as error:
            raise PeerUnreachable(f"{region}: no memory for its answer") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PeerUnreachable(f"{region}: {reason(error, url, self._certificate)[:LONGEST_MESSAGE]}") from error
        parsed: Any = None
        if content_type == _CONTENT_TYPE:
            with suppress(orjson.JSONDecodeError):
                parsed = orjson.loads(answer)
        if status != _OK:
            raise _refusal(region, status, parsed if isinstance(parsed, dict) else {})
        if not isinstance(parsed, dict):
            operation = headers["X-Amz-Target"].rpartition(".")[2]
            raise WrongAnswer(f"{operation}: an answer with status {status} that is no JSON object")
        return parsed

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
            # A peer's cookies do not concern us, and bodies are decompressed here, where there is a limit.
            self._session = aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self._session

    def _headers(self, region: str, url: str, operation: str, data: bytes, service: str) -> dict[str, str]:
        headers = {"Content-Type": _CONTENT_TYPE, "X-Amz-Target": f"{TARGET}.{operation}", "Accept-Encoding": _CODING}
        request = AWSRequest("POST", url, headers, data)
        SigV4Auth(self._credentials, service, region).add_auth(request)
        return dict(request.headers)


class _OfAccount:
    """The regions of one account elsewhere."""

    def __init__(self, peers: HttpPeers, service: str) -> None:
        self._peers = peers
        self._service = service

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """The answer of the region of this account."""
        return await self._peers.call(region, operation, body, self._service)


async def _read(response: aiohttp.ClientResponse, held: Holding) -> bytes:
    """The body of an answer, decompressed, as far as both forms stay within the limit.

    Raises WrongAnswer, and Exhausted if all answers together take too much memory.
    """
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in (_CODING, "identity"):
        raise WrongAnswer("an answer in a coding that was not asked for")
    if (response.content_length or 0) > ANSWER_BYTES:
        raise WrongAnswer(f"an answer of more than {ANSWER_BYTES} bytes")
    stream = zlib.decompressobj(_GZIP) if coding == _CODING else None
    parts: list[bytes] = []
    received = size = 0
    async for data in response.content.iter_any():
        received += len(data)
        try:
            part = data if stream is None else stream.decompress(data, ANSWER_BYTES + 1 - size)
        except zlib.error as error:
            raise WrongAnswer("an answer that is not in the coding that it names") from error
        size += len(part)
        if max(received, size) > ANSWER_BYTES:
            raise WrongAnswer(f"an answer of more than {ANSWER_BYTES} bytes")
        held.grow(len(part))
        parts.append(part)
    if stream is not None and (stream.unused_data or not stream.eof):
        raise WrongAnswer("an answer that is not in the coding that it names")
    return b"".join(parts)


def _refusal(region: str, status: int, parsed: Body) -> Exception:
    """The exception for a region's error."""
    name = str(parsed.get("__type", "")).rpartition("#")[2][:LONGEST_MESSAGE]
    message = str(parsed.get("message", parsed.get("Message", "")))[:LONGEST_MESSAGE]
    error = REFUSALS.get(name)
    if status < _SERVER_FAULT and name in NO_PEER:
        return PeerRefuses(f"{region} refuses this region: {_printable(f'{name}: {message}')}")
    if status >= _SERVER_FAULT or error is None:
        return PeerUnreachable(f"{region}: {_printable(f'{name} ({status}): {message}')}")
    return error(_printable(message))


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
