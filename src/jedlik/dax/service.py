"""DAX: a cache in front of the tables, which its own clients reach by its own protocol, on a port of its own.

The operations of its control plane are refused by name as yet: there is the cluster that `jedlik serve --dax` makes.
"""

from __future__ import annotations

from jedlik.aws.protocols.codecs import JsonCodec
from jedlik.aws.service import Service
from jedlik.dax import attribute_lists, counting

NAME, VERSION = "dax", "2017-04-19"

SERVICE = Service(
    name=NAME,
    signing_name="dax",
    api_version=VERSION,
    codec=JsonCodec(NAME, VERSION),
    target_prefix="AmazonDAXV3",
    operations={},
    keyspaces=(attribute_lists.LISTS,),
    metrics=counting.METRICS,
)
