"""Large blocks of the C library's memory, of which LMDB takes one of 2 MB for each environment and uses little.

A block that the C library maps by itself takes memory only where it is used. But when such a block is freed, as by the
first environment that closes, the library begins to take blocks of that size from its heap. There it clears them, and
so all of their memory is taken: an open store cost 2.1 MB instead of 0.14. A fixed threshold ends that.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MAPPED_FROM = 2_000_000
"""Bytes. LMDB's block is a little larger. Answers of 1 MB stay in the heap, where they are faster."""
_KEPT_FREE = 32 << 20
"""Free bytes that the end of the heap keeps, instead of giving them back and taking them again. With a fixed threshold,
the library no longer chooses this number."""


def map_apart() -> None:
    """Map all large blocks of this process, and of those that are forked from it, by themselves. Where the C library
    cannot do that, nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # It is not glibc.
        return
    mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
