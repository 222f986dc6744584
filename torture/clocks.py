"""The clocks of a server, which `clocks.c` can make jump."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torture.disk import NoCompiler

_SOURCE = Path(__file__).with_name("clocks.c")
_COMPILER = "gcc"
_SHIFTS = struct.Struct("<qq")


class Clocks:
    """The clocks of the servers that have this `environment`. Raises NoCompiler.

    The path of the folder must not contain a space, because LD_PRELOAD is a list separated by spaces.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which(_COMPILER) is None:
            raise NoCompiler(_SOURCE.name)
        folder.mkdir(parents=True, exist_ok=True)
        library, path = folder / "clocks.so", folder / "shifts"
        compile_it = [_COMPILER, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(compile_it, check=True)
        path.write_bytes(bytes(_SHIFTS.size))
        with path.open("r+b") as file:
            self._shifts = mmap.mmap(file.fileno(), _SHIFTS.size)
        self._wall = self._steady = 0
        self.environment = {"LD_PRELOAD": str(library), "CLOCKS_SHIFTS": str(path)}
        """For the server."""

    def now(self) -> float:
        """The time that the server's wall clock shows."""
        return time.time() + self._wall

    def true_time(self) -> float:
        """The time that it would show if it had never jumped."""
        return time.time() + self._steady

    def jump(self, seconds: int) -> None:
        """Set the wall clock ahead, or back."""
        self._set(self._wall + seconds, self._steady)

    def sleep(self, seconds: int) -> None:
        """Simulate that the machine slept: both clocks advance."""
        self._set(self._wall + seconds, self._steady + seconds)

    def boot(self, seconds: int) -> None:
        """Set the steady clock to another value, as a boot does."""
        self._set(self._wall, self._steady + seconds)

    @contextmanager
    def wrong(self, seconds: int) -> Iterator[None]:
        """Set the wall clock wrong for a while."""
        self.jump(seconds)
        try:
            yield
        finally:
            self.jump(-seconds)

    def _set(self, wall: int, steady: int) -> None:
        self._wall, self._steady = wall, steady
        self._shifts[:] = _SHIFTS.pack(wall, steady)
