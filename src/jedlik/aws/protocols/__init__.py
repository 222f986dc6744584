"""The protocols of AWS: how requests are read and answers written, in JSON, in forms and XML, and in CBOR.

`codecs` has one codec for each protocol, made from a service's model; DynamoDB's own is `json_1_0`.
"""
