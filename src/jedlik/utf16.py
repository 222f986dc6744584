"""How long texts are to AWS, which is written in Java and counts UTF-16 code units wherever it counts no bytes."""

from __future__ import annotations


def text_length(text: str) -> int:
    """The length of a text in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) >> 1
