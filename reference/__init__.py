"""What Jedlik covers of DynamoDB: makes docs/reference/coverage.md from the declarations, the service model and the
tests.

    members.py         the members of requests and answers, from botocore's model of the service
    recorded.json      which of them the tests in tests/dynamodb have sent and been given (testing/recorded_calls.py)
    differences.py     where Jedlik knowingly differs from DynamoDB, and why
    document.py        the document

`make reference` runs those tests, records them again, and writes the document. `make test` fails if the document
differs from what these would make, or if the record contradicts the tests.
"""
