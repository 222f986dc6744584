"""`python -m jedlik` is `jedlik`: the program, from its first moment."""

from __future__ import annotations

import os
import signal

from jedlik.loading import loading


def main() -> None:
    """Load the command line and run it."""
    # Shells ignore it for background programs, and so do we then.
    is_heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heeded:
        # Nothing has been begun while modules are loaded, so there is nothing to end, and no traceback to be shown.
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(128 + number))
    with loading():
        from jedlik.cli import main as run

    if is_heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
