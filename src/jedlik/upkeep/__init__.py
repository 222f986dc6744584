"""Looking after stores: what an operator does with one besides serving it.

`check` finds what does not agree in a store, `stats` says how large it is and what of, and both may run beside the
server: they read a view (`lmdb.view`) and write nothing. The command `jedlik compact` needs nothing of this
package: making a file smaller is a matter of the storage (`lmdb.lmdb_file`).
"""
