"""Model-based tests: the same drawn requests for a model of DynamoDB, as simple as can be, and for a service."""
