"""Looking after stores: an operator's tasks besides serving.

`check` finds contradictions in a store, and `stats` shows its size and the sizes of its parts. Both may run beside the
server: they read a view (`lmdb.view`) and write nothing. The command `jedlik compact` needs nothing of this package:
making a file smaller is a task of the storage (`lmdb.lmdb_file`).
"""
