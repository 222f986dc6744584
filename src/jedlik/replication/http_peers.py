"""Peers elsewhere, over HTTP, with every request signed.

aiohttp is the client. Signatures are botocore's, as those of any SDK, so a peer checks them as it checks all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from jedlik.config import Peer
from jedlik.model import errors
from jedlik.model.errors import DynamoDBError
from jedlik.model.limits import MIB
from jedlik.replication.peers import Body, PeerUnreachable
from jedlik.replication.serving import LONGEST_WAIT, TARGET

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = LONGEST_WAIT + 10.0
"""For a whole answer: the longest wait at the peer, and time to send a megabyte over a slow line."""
ANSWER_BYTES = 64 * MIB
"""More than any answer has: one of several tables ends after a megabyte, and an item has 400 KB at the most."""

_SERVICE = "dynamodb"
_CONTENT_TYPE = "application/x-amz-json-1.0"
_SERVER_FAULT = 500


class HttpPeers:
    """The regions that the settings name an endpoint of."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        self._peers = peers
        self._signers = {
            name: SigV4Auth(Credentials(peer.access_key, peer.secret_key), _SERVICE, name)
            for name, peer in peers.items()
        }
        self._session: aiohttp.ClientSession | None = None

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """What the region answers. Raises PeerUnreachable, and what the region refuses with, a DynamoDBError."""
        # The client wants to be run by a task, and handlers are not (`server.connection`).
        return await asyncio.get_running_loop().create_task(self._call(region, operation, body))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _call(self, region: str, operation: str, body: Body) -> Body:
        url = self._peers[region].endpoint
        data = orjson.dumps(body)
        try:
            async with self._open_session().post(
                url, data=data, headers=self._headers(region, url, operation, data), allow_redirects=False
            ) as response:
                if (response.content_length or 0) > ANSWER_BYTES:
                    raise PeerUnreachable(f"{region}: an answer of {response.content_length} bytes")
                answer, status = await response.read(), response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PeerUnreachable(f"{region}: {error or type(error).__name__}") from error
        try:
            told: Body = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise PeerUnreachable(f"{region}: an answer with status {status} that is not JSON") from error
        if status != 200:
            raise _refusal(region, status, told)
        return told

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session

    def _headers(self, region: str, url: str, operation: str, data: bytes) -> dict[str, str]:
        headers = {"Content-Type": _CONTENT_TYPE, "X-Amz-Target": f"{TARGET}.{operation}"}
        request = AWSRequest("POST", url, headers, data)
        self._signers[region].add_auth(request)
        return dict(request.headers)


def _refusal(region: str, status: int, told: Body) -> Exception:
    """What a region's error is raised as."""
    name = str(told.get("__type", "")).rpartition("#")[2]
    message = str(told.get("message", told.get("Message", "")))
    error = getattr(errors, name, None)
    if status >= _SERVER_FAULT or not (isinstance(error, type) and issubclass(error, DynamoDBError)):
        return PeerUnreachable(f"{region}: {name} ({status}): {message}")
    return error(message)
