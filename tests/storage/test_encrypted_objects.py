"""The encryption that a request wants of a bucket: what goes to an S3 server."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jedlik.aws.errors import ValidationException
from jedlik.buckets import Bucket
from jedlik.dynamodb.backups import transfers
from jedlik.regions.object_places import ObjectPlaces
from jedlik.regions.region import Region
from testing.storage.objects import MemoryObjects


class _Region(Region):
    def __init__(self, places: ObjectPlaces) -> None:
        self.places = places
        self.account = "000000000000"


def test_objects_are_encrypted_as_a_request_wants_it() -> None:
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("etag", '"x"')
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    options = {
        "endpoint": f"http://127.0.0.1:{server.server_port}",
        "region": "us-east-1",
        "access_key_id": "key",
        "secret_access_key": "secret",
    }
    places = ObjectPlaces(MemoryObjects(), {"b": Bucket("s3://b", options), "folder": Bucket("file:///folder")})
    region = _Region(places)

    async def put() -> None:
        for more in ({}, {"S3SseAlgorithm": "AES256"}, {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": "my-key"}):
            await transfers.bucket(region, {"S3Bucket": "b", **more}).put("object", b"content")

    try:
        asyncio.run(put())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    names = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id")
    assert [tuple(headers.get(name) for name in names) for headers in seen] == [
        (None, None),
        ("AES256", None),
        ("aws:kms", "my-key"),
    ]
    transfers.check_output(region, {"S3Bucket": "missing", "S3SseAlgorithm": "AES256"}, "")
    with pytest.raises(ValidationException, match="is not in an object store that speaks S3"):
        transfers.check_output(region, {"S3Bucket": "folder", "S3SseAlgorithm": "AES256"}, "")
