"""The root key by itself: what it seals, and that processes share it."""

from __future__ import annotations

import os
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik import root_key
from jedlik.root_key import KEY_BYTES, LENGTHENING, MOST_KEYS, NoRootKey, RootKey, Unsealable, new_key, place

OLD, NEW = new_key(), new_key()


@given(st.binary(max_size=4096), st.binary(max_size=200))
def test_what_was_sealed_opens_in_its_place_alone(plaintext: bytes, context: bytes) -> None:
    key = RootKey(OLD)
    sealed = key.seal(plaintext, context)
    assert len(sealed) == len(plaintext) + LENGTHENING
    assert key.unseal(sealed, context) == plaintext
    with pytest.raises(Unsealable, match="damaged, or was sealed for another place"):
        key.unseal(sealed, context + b"x")


def test_no_two_sealed_values_are_equal() -> None:
    key = RootKey(OLD)
    assert len({key.seal(b"secret", b"here") for _ in range(100)}) == 100


@given(st.integers(0, LENGTHENING + 5), st.integers(0, 7))
def test_a_flipped_bit_is_found_wherever_it_is(byte: int, bit: int) -> None:
    key = RootKey(OLD)
    sealed = bytearray(key.seal(b"secret", b"here"))
    sealed[byte] ^= 1 << bit
    with pytest.raises(Unsealable):
        key.unseal(bytes(sealed), b"here")


@given(st.binary(max_size=LENGTHENING + 8))
def test_anything_else_is_no_sealed_value(other: bytes) -> None:
    with pytest.raises(Unsealable):
        RootKey(OLD).unseal(other, b"here")


def test_another_key_is_named() -> None:
    sealed = RootKey(OLD).seal(b"secret", b"here")
    with pytest.raises(Unsealable, match=f"sealed under the root key {RootKey(OLD).id}, which is not here"):
        RootKey(NEW).unseal(sealed, b"here")


def test_a_former_key_opens_and_the_current_one_seals() -> None:
    sealed = RootKey(OLD).seal(b"secret", b"here")
    key = RootKey(NEW, [OLD])
    assert key.unseal(sealed, b"here") == b"secret"
    assert not key.is_current(sealed)
    again = key.resealed(sealed, b"here")
    assert key.is_current(again)
    assert key.resealed(again, b"here") is again
    assert RootKey(NEW).unseal(again, b"here") == b"secret"
    with pytest.raises(Unsealable):
        key.resealed(sealed, b"there")


def test_without_a_key_nothing_is_sealed() -> None:
    key = RootKey()
    assert not key.is_there
    assert key.id is None
    with pytest.raises(NoRootKey, match="make one with `jedlik init`"):
        key.seal(b"secret", b"here")
    with pytest.raises(Unsealable):
        key.unseal(RootKey(OLD).seal(b"secret", b"here"), b"here")


def test_there_is_a_limit_to_former_keys() -> None:
    RootKey(OLD, [new_key() for _ in range(MOST_KEYS - 1)])
    with pytest.raises(ValueError, match="at most 7 former ones"):
        RootKey(OLD, [new_key() for _ in range(MOST_KEYS)])


def test_forked_processes_take_up_a_key_that_their_parent_gets_later() -> None:
    key = RootKey(OLD)
    before = key.seal(b"secret", b"here")
    go, going = os.pipe()
    answers, answering = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert key.unseal(before, b"here") == b"secret"
            os.write(answering, b"ready")
            os.read(go, 1)
            os.write(answering, key.seal(b"from the child", key.unseal(before, b"here")))
            code = 0
        finally:
            os._exit(code)
    assert os.read(answers, 5) == b"ready"
    key.use(NEW, [OLD])
    os.write(going, b"!")
    sealed = os.read(answers, 1000)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert RootKey(NEW).unseal(sealed, b"secret") == b"from the child"
    for end in (go, going, answers, answering):
        os.close(end)


def test_places_differ_in_every_part() -> None:
    places = {
        place("000000000000", "", b"\x90key"),
        place("000000000000", "", b"\x90key", "hash"),
        place("000000000000", "eu-west-1", b"\x90key"),
        place("111111111111", "", b"\x90key"),
        place("000000000000", "", b"\x90kez"),
    }
    assert len(places) == 5


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_keys_are_read_in_hexadecimal_and_base64(key: bytes) -> None:
    texts = [key.hex(), key.hex().upper(), b64encode(key).decode(), urlsafe_b64encode(key).decode().rstrip("=")]
    assert root_key.parsed("\n".join(texts) + "\n") == [key] * len(texts)


@pytest.mark.parametrize("text", ["secret", "ab" * 31, "ab" * 33, "a" * 42, "ü" * 43, "!" * 43])
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="32 random bytes in hexadecimal or base64") as refused:
        root_key.parsed(text)
    assert text not in str(refused.value)
