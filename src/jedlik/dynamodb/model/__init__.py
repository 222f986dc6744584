"""The data model: values, keys, expressions, statements, tables, and the write path. Pure: no await, no I/O, no clock.

What a rule about items is, is written here once. Every way of writing ends in `writes`, every page of rows in `reads`.
The stored forms are here, too: `items`, `descriptors`, `changelog`, and the keys of all rows (`keys`, `spaces`).
"""
