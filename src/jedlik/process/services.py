"""The services: everything that is served on the port, and that the commands look after in a store."""

from __future__ import annotations

from jedlik.dynamodb import service as dynamodb

SERVICES = dynamodb.SERVICES
