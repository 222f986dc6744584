"""How an Accept-Encoding header is read: a table of DynamoDB's choices."""

from __future__ import annotations

import pytest

from jedlik.wire.encodings import best_coding


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        # Names other than gzip and deflate are ignored.
        ("", None),
        ("identity", None),
        ("br", None),
        ("zstd", None),
        ("compress", None),
        ("x-gzip", None),
        ('"gzip"', None),
        ("gzip br", None),
        ("gzip:q=1", None),
        # The first of several that are equally wanted; upper and lower case are equal.
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
        # The asterisk means every coding that is not named, and comes after those that are.
        ("*", "gzip"),
        ("*;q=0", None),
        ("*, identity", "gzip"),
        ("*, deflate", "deflate"),
        ("*, deflate;q=0.5", "gzip"),
        ("*, gzip;q=0.5", "deflate"),
        # No compression is never preferred to a coding.
        ("*;q=0.5,identity", "gzip"),
        ("gzip;q=0.5,identity;q=0.8", "gzip"),
        ("br;q=0.8,identity;q=0.5,*;q=0", None),
        # Malformed qualities: more than one counts as one, the first one counts, and anything but a number is one.
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
