"""Looking after stores: an operator's tasks besides serving.

`check` finds contradictions in a store, and `stats` shows its size and the sizes of its parts. Both may run beside the
server: they read a view (`lmdb.view`) and write nothing. So does `folder_copies`. `repair` and `upgrade` need a store
that no server has open. `reports` does what the commands ask, and prints the outcome; the work of compacting and
salvaging a file is the storage's (`lmdb.lmdb_file`, `lmdb.salvage`).
"""
