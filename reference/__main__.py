"""Writes docs/reference/coverage.md."""

from reference import document

document.write()
