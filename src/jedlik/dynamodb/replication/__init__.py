"""Replication: how the regions of a global table tell each other what has changed.

Each region pulls: it asks each peer, over and over, for the changes made there since the position that it has come to
(`serving` answers), applies them and moves its checkpoint in the same commit (`applying`, `checkpoints`). So nothing is
ever applied twice in effect, and whatever dies or is cut off goes on from where it was. A region tells only of the
changes that were made in it, and all pull from all, so no change goes round in a circle. A peer is in the same process
or across the network (`peers`, `http_peers`); both are asked in the same way. The pullers themselves are in `jobs`.
"""
