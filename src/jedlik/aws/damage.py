"""Damage: the errors of reading bytes that are not as they were written."""

from __future__ import annotations

import struct

from jedlik.aws.errors import ServiceError

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, struct.error, ServiceError)
"""What reading a row may raise when its bytes are damaged. (JSON's own error is a ValueError.)"""


def described(error: Exception) -> str:
    """One of DAMAGE in words, for a report. The message alone would often be useless: 'p'."""
    return str(error) if type(error) is ValueError else f"it cannot be read ({type(error).__name__}: {error})"
