"""The services: everything that is served on the port, and that the commands look after in a store."""

from __future__ import annotations

from jedlik.aws.credentials import Credentials
from jedlik.aws.service import Service
from jedlik.config import Settings
from jedlik.dax import service as dax
from jedlik.dax.cluster_operations import ServerCluster
from jedlik.dynamodb import service as dynamodb
from jedlik.dynamodb.tables.tagged_tables import TaggedTables
from jedlik.iam import service as iam
from jedlik.iam.identity_stores import IdentityStores
from jedlik.sts import service as sts
from jedlik.tagging import service as tagging


def served(
    account: str,
    credentials: Credentials | None,
    identities: IdentityStores | None = None,
    cluster: ServerCluster | None = None,
) -> tuple[Service, ...]:
    """The services of a server with an account of its own, these access keys, or any if none are verified, and this
    cluster of DAX, if it has one."""

    def account_of(access_key: str) -> str | None:
        if credentials is None:
            return account
        credential = credentials.get(access_key)
        return None if credential is None else credential.account or account

    stores = IdentityStores(Settings()) if identities is None else identities
    return (
        *dynamodb.SERVICES,
        sts.declared(account_of),
        iam.declared(stores),
        tagging.declared((TaggedTables(),)),
        dax.declared(cluster),
    )


SERVICES = served("", None)
"""The parts that are the same for every server: what the services keep, count and do in the background."""
