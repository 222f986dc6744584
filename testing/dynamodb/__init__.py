"""What tests of DynamoDB share: short ways to write tables and requests, and regions and handlers without a server."""
