"""The services: everything that is served on the port, and that the commands look after in a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jedlik.aws import table_keys
from jedlik.aws.authorizer import Everybody
from jedlik.aws.permissions import permitted
from jedlik.aws.service import Handler, Service, key_spaces
from jedlik.aws.shapes import service_model
from jedlik.config import Settings
from jedlik.dax import service as dax
from jedlik.dax.cluster_views import ClusterHost
from jedlik.dynamodb import service as dynamodb
from jedlik.dynamodb.request_shapes import DYNAMODB
from jedlik.dynamodb.tables.tagged_tables import TaggedTables
from jedlik.ec2 import service as ec2
from jedlik.ec2.endpoint_ways import EndpointWay
from jedlik.iam import identity_copies
from jedlik.iam import service as iam
from jedlik.iam.authorizing import PolicyAuthorizer
from jedlik.iam.identity_stores import IdentityStores
from jedlik.iam.issuing import PolicySessions
from jedlik.iam.key_authorizing import KeyPolicyAuthorizer
from jedlik.iam.known_keys import KnownKeys
from jedlik.iam.service_roles import ServiceRoles
from jedlik.kms import service as kms
from jedlik.kms.key_tags import TaggedKeys
from jedlik.peer_certificate import PeerCertificate
from jedlik.regions.stores import Stores
from jedlik.sts import service as sts
from jedlik.tagging import service as tagging

DAX_PRINCIPAL = "dax.amazonaws.com"
"""What trust policies name to let DAX assume a role."""


def served(
    account: str,
    keys: KnownKeys | None,
    identities: IdentityStores | None = None,
    authorizer: PolicyAuthorizer | None = None,
    host: ClusterHost | None = None,
    regions: Stores | None = None,
    ways: Sequence[EndpointWay] = (),
) -> tuple[Service, ...]:
    """The services of a server with an account of its own, these access keys, or any if none are verified, that
    has clusters of DAX in this way, over these stores of regions, with these VPC endpoints. Without an authorizer
    everybody may do everything."""

    def account_of(access_key: str) -> str | None:
        return account if keys is None else keys.account_of(access_key)

    stores = IdentityStores(Settings()) if identities is None else identities
    keys_service = kms.declared(Stores(Settings()) if regions is None else regions, key_authorizer(stores, authorizer))
    tag, untag = (keys_service.operations[name].handler for name in ("TagResource", "UntagResource"))
    endpoints = ec2.declared(ways)

    def asking(service: Service, *names: str) -> Iterator[Handler]:
        return (permitted(service.operations[name], authorizer or Everybody()) for name in names)

    tagged = (
        TaggedTables(*asking(dynamodb.SERVICE, "TagResource", "UntagResource")),
        TaggedKeys(tag, untag),
        ec2.tagged_endpoints(ways, *asking(endpoints, "CreateTags", "DeleteTags")),
    )
    return (
        *dynamodb.SERVICES,
        sts.declared(account_of, PolicySessions(stores, authorizer)),
        iam.declared(stores),
        identity_copies.declared(stores),
        keys_service,
        tagging.declared(tagged),
        endpoints,
        dax.declared(host or NO_HOST, None if authorizer is None else ServiceRoles(stores, DAX_PRINCIPAL)),
    )


def read_models() -> None:
    """Read what the first request of every worker needs, once for all of them."""
    service_model.model(DYNAMODB)


def key_authorizer(identities: IdentityStores, authorizer: PolicyAuthorizer | None) -> KeyPolicyAuthorizer | None:
    """Who decides about KMS keys; None where everybody may do everything."""
    return None if authorizer is None else KeyPolicyAuthorizer(identities, authorizer)


def provide_table_keys(
    settings: Settings,
    stores: Stores,
    identities: IdentityStores,
    authorizer: PolicyAuthorizer | None,
    certificate: PeerCertificate | None,
) -> None:
    """Let KMS open the keys of this process's tables. Another KMS is shown the certificate."""
    found = kms.keys_of_tables(stores, key_authorizer(identities, authorizer))
    if settings.kms is None:
        table_keys.provide(found)
    else:
        # Imported only if there is another KMS: the client costs memory in every worker.
        from jedlik.kms.keys_elsewhere import KeysElsewhere

        table_keys.provide(KeysElsewhere(found, settings.kms, authorizer or Everybody(), certificate))


NO_HOST = ClusterHost("127.0.0.1", None, has_certificate=False, has_default=False, since=0.0)
"""For where there is no server."""
SERVICES = served("", None)
"""The parts that are the same for every server: what the services keep, count and do in the background."""
KEY_NUMBERS = dynamodb.KEY_NUMBERS
KEY_SPACES = key_spaces(SERVICES)
"""Those of a store."""
