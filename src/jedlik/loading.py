"""How modules are loaded that a program cannot do without: quickly, and with little memory.

What they make stays until the end, so it is not for the garbage collector to go over it: neither while they are loaded,
which took a sixth of a server's start, nor later, when that would copy memory which processes share.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Whatever is made in here stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
