"""The checks of what DynamoDB keeps.

What is checked follows from what the write path promises (`model.writes`): an item, its index entries, counters,
expiry note and change log entry are written in one commit, so in any one state of a store they agree. Checks go both
ways without holding a table in memory. Going through the items, each entry that an item must have is looked up. As the
entries of different items are different keys, an index with as many entries as were found has no others; only if it has
more is it gone through to find which.
"""
