"""The embedded engine: a store is an LMDB file and a journal, which processes of one machine share.

`lmdb_engine` is the engine, `lmdb_reader` its reads; `store` and `environment` are the files in use. A write is one of
a batch (`changes`), which the worker commits itself (`at_once`) or its committer does (`committer`); either way it goes
to the `journal` first, then to LMDB (`commits`), whose state is complete on the disk at each of the `checkpoints`. What
is left of a store after a death is put in order by `recovery`, if `coherence` finds that its files belong together.
Damage is found by `checksums`, `page_check` and the `scrub`, and `salvage` saves what it can. Commands work on a store
from outside its server with `lmdb_file` and `replacement`.
"""
