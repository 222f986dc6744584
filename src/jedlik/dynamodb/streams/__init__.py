"""DynamoDB Streams: its operations, and the upkeep of shards. The log that it shows is in `changes` and `model`."""
