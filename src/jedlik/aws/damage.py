"""Damage: what becomes of reading bytes that are not what was written."""

from __future__ import annotations

import struct

from jedlik.aws.errors import ServiceError

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, struct.error, ServiceError)
"""What reading a row may raise when its bytes are damaged. (JSON's own error is a ValueError.)"""


def told(error: Exception) -> str:
    """One of DAMAGE for a report. The message alone of what was raised elsewhere would often say nothing: 'p'."""
    return str(error) if type(error) is ValueError else f"it cannot be read ({type(error).__name__}: {error})"
