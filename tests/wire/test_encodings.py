"""How an Accept-Encoding header is understood: a table of what DynamoDB does with each."""

from __future__ import annotations

import pytest

from jedlik.wire.encodings import best_coding


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        # What is not gzip or deflate is as if it were not there.
        ("", None),
        ("identity", None),
        ("br", None),
        ("zstd", None),
        ("compress", None),
        ("x-gzip", None),
        ('"gzip"', None),
        ("gzip br", None),
        ("gzip:q=1", None),
        # The first of those equally wanted, in any case.
        ("gzip, deflate", "gzip"),
        ("br, identity, deflate, gzip", "deflate"),
        ("GZIP, identity", "gzip"),
        ("dog, gzip ,, cat", "gzip"),
        # The one wanted most.
        ("gzip;q=0.8, deflate;q=0.5", "gzip"),
        ("deflate;q=0.5, gzip;q=0.2", "deflate"),
        ("br, gzip;q=0, deflate; q = 0.5 , identity;q=0", "deflate"),
        ("br,identity;q=0.5,gzip;q=0.0001", "gzip"),
        ("gzip;q=0, gzip;q=1, gzip;q=0", "gzip"),
        # What is not wanted at all.
        ("gzip ;q=0", None),
        ("gzip; q=0;q=1", None),
        ("gzip;q= 0;q=1", None),
        ("identity;q=0", None),
        # The asterisk is every coding that is not named, and comes after those that are.
        ("*", "gzip"),
        ("*;q=0", None),
        ("*, identity", "gzip"),
        ("*, deflate", "deflate"),
        ("*, deflate;q=0.5", "gzip"),
        ("*, gzip;q=0.5", "deflate"),
        # Not to compress is never preferred.
        ("*;q=0.5,identity", "gzip"),
        ("gzip;q=0.5,identity;q=0.8", "gzip"),
        ("br;q=0.8,identity;q=0.5,*;q=0", None),
        # Qualities that are none: more than one is one, the first counts, what is no number is one.
        ("deflate;q=0.5, gzip;q=31", "gzip"),
        ("gzip;q=31,deflate;q=51", "gzip"),
        ("deflate;q=0.5, gzip;q=1;q=0.2", "gzip"),
        ("deflate;q=0.5,gzip;q=0.", "deflate"),
        ("deflate;q=0.5,gzip;q=0.x", "gzip"),
        ("deflate;q=0.5,gzip;q=0. x", "gzip"),
        ("deflate;q=-0.5,gzip;q=0.2", "gzip"),
        ("gzip;q =0;q=1", "gzip"),
        ("gzip;nq=0;q=1", None),
    ],
)
def test_the_coding_that_is_chosen(accepted: str, coding: str | None) -> None:
    assert best_coding(accepted.encode()) == (coding.encode() if coding else None)
