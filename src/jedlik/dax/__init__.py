"""DAX: an in-memory cache in front of the tables, for clients that speak its own protocol.

A node (`node`) serves the data plane. `listener` and `client_connection` bring requests; a module for each kind of
method (`item_methods`, `page_methods`, ...) does them over the `cache` and the `plane`; `following` drops what is
written past the node. The control plane is a service like any other (`service`): clusters, nodes, groups of parameters
and of subnets.
"""
