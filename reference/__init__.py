"""What is covered of DynamoDB: makes docs/reference/coverage.md of the declarations, the service model and the tests.

    members.py         the members of requests and answers, from botocore's model of the service
    recorded.json      which of them the tests in tests/dynamodb have sent and been given (testing/recorded_calls.py)
    differences.py     where Jedlik knowingly differs from DynamoDB, and why
    document.py        the document

`make reference` runs those tests, records them anew, and writes the document. `make test` fails when the document is
not the one that these make, or when the record says of a member what the tests do not do.
"""
