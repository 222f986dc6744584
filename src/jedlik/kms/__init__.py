"""AWS Key Management Service: symmetric keys of customers, their policies, grants, aliases and material.

Handlers are in the modules of operations. `key_finding` finds the key of a request, and asks whether the caller may use
it. DynamoDB reaches keys through `aws.table_keys`: that is `keys_of_tables`, or `keys_elsewhere` for another KMS.
"""
