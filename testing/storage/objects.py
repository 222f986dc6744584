"""An object store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from jedlik.storage.object_store import Found, ObjectMissing, ObjectStore


class MemoryObjects(ObjectStore):
    """Objects in a dictionary, by name."""

    def __init__(self) -> None:
        super().__init__("file:///memory", {})
        self.kept: dict[str, bytes] = {}

    async def put(self, name: str, content: bytes) -> None:
        """Store an object."""
        self.kept[name] = content

    async def get(self, name: str) -> bytes:
        """An object. Raises ObjectMissing."""
        if name not in self.kept:
            raise ObjectMissing(name)
        return self.kept[name]

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        """An object, in parts. Raises ObjectMissing."""
        content = await self.get(name)
        for start in range(0, len(content), 100):
            yield content[start : start + 100]

    async def list(self, folder: str) -> AsyncIterator[Found]:
        """The objects in a folder."""
        for name, content in list(self.kept.items()):
            if name.startswith(f"{folder}/" if folder else ""):
                yield Found(name, len(content))

    async def delete(self, names: Sequence[str]) -> None:
        """Remove objects."""
        for name in names:
            self.kept.pop(name, None)
