"""The interpreter that runs this: its version, and whether it was built for speed.

CPython that was built with `--enable-optimizations` (profile and link-time optimisation) needs a tenth less CPU for a
request than one without, and a fifth less for a batch. Its configuration shows that, but for what distributions install
in /usr: they build with a profile in a way of their own, which the configuration does not show.
"""

from __future__ import annotations

import platform
import sys
import sysconfig

OPTION = "--enable-optimizations"
SYSTEM = "/usr"


def is_optimized() -> bool:
    """Whether it was built for speed."""
    return OPTION in (sysconfig.get_config_var("CONFIG_ARGS") or "") or sys.base_prefix == SYSTEM


def described() -> str:
    """Name and version, and how it was built: `CPython 3.13.1, optimized`."""
    built = "optimized" if is_optimized() else f"built without {OPTION}"
    return f"{platform.python_implementation()} {platform.python_version()}, {built}"
