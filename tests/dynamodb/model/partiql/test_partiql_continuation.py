"""NextToken: it is kept and given back, and is valid for nothing else."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.partiql import continuation
from jedlik.dynamodb.model.partiql.continuation import Position

SECRET = b"secret of the store"
TEXT = "SELECT * FROM Music WHERE p = ?"
PARAMETERS = [{"S": "a"}]
POSITION = Position(3, {"p": {"S": "a"}, "n": {"N": "1"}})
TOKEN = continuation.token(POSITION, TEXT, PARAMETERS, SECRET)


@given(
    st.integers(0, 1000),
    st.none() | st.dictionaries(st.text(), st.fixed_dictionaries({"S": st.text()}), max_size=4),
    st.text(),
)
def test_a_token_gives_its_position_back(partition: int, key: dict[str, dict[str, str]] | None, text: str) -> None:
    token = continuation.token(Position(partition, key), text, PARAMETERS, SECRET)
    assert continuation.position(token, text, PARAMETERS, SECRET) == Position(partition, key)


def refusal(token: str, text: str = TEXT, secret: bytes = SECRET) -> str:
    with pytest.raises(ValidationException) as caught:
        continuation.position(token, text, PARAMETERS, secret)
    return caught.value.message


def test_a_token_is_for_one_statement_and_its_parameters() -> None:
    assert refusal(TOKEN, text=TEXT + " ") == "NextToken does not match request"
    with pytest.raises(ValidationException) as caught:
        continuation.position(TOKEN, TEXT, [{"S": "b"}], SECRET)
    assert caught.value.message == "NextToken does not match request"


def test_a_token_that_was_not_made_here_is_refused() -> None:
    raw = bytearray(b64decode(TOKEN))
    raw[-2] ^= 1
    for token in ("", "abc", "é", "====", b64encode(bytes(raw)).decode(), b64encode(b"x" * 40).decode()):
        assert refusal(token) == "Invalid NextToken"
    assert refusal(TOKEN, secret=b"another store") == "Invalid NextToken"
