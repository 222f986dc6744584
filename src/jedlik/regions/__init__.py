"""Accounts and regions: which store a request means, and what a store knows of itself before any service writes to it.

`stores` opens and closes the stores of a process, in the folders that `layout` draws. A `region` is an open store with
its clock, secret, keys and peers. `keyspaces` shows how rows are declared, and `store_format` numbers their form.
"""
