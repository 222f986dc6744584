"""Storage: bytes in, bytes out, durable and in order. Knows nothing of DynamoDB.

`engine` is the seam and states what every engine promises; the embedded one is in `lmdb`. `sealed_engine` is an engine
that encrypts what another keeps, and `empty` the one of a store that does not exist. `batch` and `counters` are for
engines to use. `object_store` is not behind the seam: it keeps whole objects, such as backups, in a folder or a bucket.
"""
