"""The checks of DynamoDB's rows.

The checks follow from the promise of the write path (`model.writes`): an item, its index entries, counters, expiry note
and change log entry are written in one commit, so in any one state of a store they agree. Checks go both ways without
holding a table in memory. For each item, every entry that it must have is looked up. The entries of different items
have different keys, so an index with as many entries as were found has no others. Only if it has more are they read, to
find which.
"""
