"""Texts of clients, however long, take time in proportion to their length: no pattern may divide one in many ways.

A text that could be divided in the square of its length of ways, or more, would take hours here.
"""

from __future__ import annotations

import re
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.policies import wildcards
from jedlik.aws.policies.policy_parser import _is_account_pattern
from jedlik.aws.shapes import java_patterns
from jedlik.dynamodb.model.partiql import literals

LONG = """
from jedlik.aws.policies import wildcards
from jedlik.aws.policies.policy_parser import _is_account_pattern
from jedlik.aws.protocols import query_forms
from jedlik.aws.shapes import java_patterns
from jedlik.dynamodb.model.partiql import literals
from jedlik.ec2 import listing_filters

SIZE = 300_000
"""
BUCKET = r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$"
CALLS = {
    "a variable of a policy": """wildcards.template("${" + " " * SIZE + "x", True)""",
    "many variables": """wildcards.template("${ a , '" * (SIZE // 9), True)""",
    "the account in a resource": """_is_account_pattern("*" * SIZE + "x")""",
    "the name of a bucket": f"""java_patterns.compiled({BUCKET!r}).fullmatch("a" * SIZE + "!")""",
    "a number of a statement": """literals._EXPONENT.fullmatch("1" * SIZE)""",
    "a number of a form": """query_forms._DECIMAL.fullmatch("1" * SIZE + "x")""",
    "a filter": """listing_filters._pattern("*a" * 1000 + "*b")("a" * SIZE)""",
}


def test_long_texts_are_read_soon() -> None:
    program = LONG + "".join(f"print({name!r}, flush=True)\n{call}\n" for name, call in CALLS.items())
    done = subprocess.run([sys.executable, "-c", program], timeout=300, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == list(CALLS)


@given(st.text("aZ0.-_!\n", max_size=6))
def test_the_name_of_a_bucket_matches_as_the_model_has_it(text: str) -> None:
    is_bucket = java_patterns.compiled(BUCKET).fullmatch(text) is not None
    assert is_bucket is (re.compile(BUCKET, re.ASCII).fullmatch(text) is not None)


FORMER = re.compile(r"\$\{\s*([^{},]*?)\s*(?:,\s*'([^'{}]*)'\s*)?\}")


@given(st.text("${} ,'ab\t", max_size=12))
def test_variables_are_found_with_the_spaces_around_them(text: str) -> None:
    former = [(one.span(), one[1], one[2]) for one in FORMER.finditer(text)]
    assert [(one.span(), one[1].strip(), one[2]) for one in wildcards._VARIABLE.finditer(text)] == former


@given(st.text("01*?x", max_size=13))
def test_the_account_in_a_resource_has_digits_or_wildcards(text: str) -> None:
    former = re.compile(r"[0-9]{12}|[0-9*?]*[*?][0-9*?]*|", re.ASCII)
    assert (_is_account_pattern(text) is None) is (former.fullmatch(text) is None)


@given(st.text("01.eE+-", max_size=8))
def test_a_number_with_an_exponent_has_the_same_parts(text: str) -> None:
    former = re.compile(r"([0-9]*)\.?([0-9]*)[eE]([+-]?)([0-9]+)").fullmatch(text)
    found = literals._EXPONENT.fullmatch(text)
    assert (None if found is None else found.groups("")) == (None if former is None else former.groups())
