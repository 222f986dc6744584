"""Replication: how the regions of a global table exchange their changes.

Each region pulls: it asks each peer, again and again, for the changes made there since its position (`serving`
answers), applies them and moves the position in the same commit (`applying`, `pull_positions`). So every change takes
effect once, and after a crash or a lost connection a region continues where it was. A region sends only the changes
that were made in it, and all pull from all, so no change goes round in a circle. A peer is in the same process or
across the network (`regions.peers`, `http_peers`); both are asked in the same way. `pulling` runs the pullers.
"""
