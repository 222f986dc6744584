"""DynamoDB and its streams.

`service` declares it, `operations` lists its operations. `catalog` reads, keeps and changes tables, and
`mini_transaction` is the one way in which items change. The rules about items are in `model`, which is pure. The other
rooms have a family of operations each, with its jobs.
"""
