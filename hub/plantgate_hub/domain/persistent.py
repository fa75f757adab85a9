"""An immutable map whose changed copy shares nearly everything with it, so that one change of 50,000 entries is cheap.

Entries are spread by hash over a fixed number of small dictionaries; a change copies only those it touches. Iteration
goes by hash, which differs from process to process: whoever needs an order sorts.
"""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

SHARDS = 512
"""A power of two. At 50,000 entries a change copies about 100 of them and this many references."""
_MASK = SHARDS - 1


class PersistentMap(Generic[K, V]):
    __slots__ = ("_shards", "_size")

    def __init__(self, shards: list[dict[K, V]] | None = None, size: int = 0) -> None:
        self._shards: list[dict[K, V]] = [{}] * SHARDS if shards is None else shards
        self._size = size

    @classmethod
    def of(cls, entries: Mapping[K, V]) -> "PersistentMap[K, V]":
        shards: list[dict[K, V]] = [{} for _ in range(SHARDS)]
        for key, value in entries.items():
            shards[hash(key) & _MASK][key] = value
        return cls(shards, len(entries))

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: D | None = None) -> V | D | None:
        return self._shards[hash(key) & _MASK].get(key, default)

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            yield from shard

    def values(self) -> Iterator[V]:
        for shard in self._shards:
            yield from shard.values()

    def __len__(self) -> int:
        return self._size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PersistentMap) and self._shards == other._shards

    __hash__ = None  # type: ignore[assignment]

    def edit(self) -> "Editor[K, V]":
        """Where a changed copy is made."""
        return Editor(list(self._shards), self._size)


class Editor(Generic[K, V]):
    """Collects changes; `done` gives the new map, after which the editor is not used again."""

    __slots__ = ("_own", "_shards", "_size")

    def __init__(self, shards: list[dict[K, V]], size: int) -> None:
        self._shards = shards
        self._size = size
        self._own: set[int] = set()

    def get(self, key: K) -> V | None:
        return self._shards[hash(key) & _MASK].get(key)

    def set(self, key: K, value: V) -> None:
        shard = self._writable(key)
        self._size += key not in shard
        shard[key] = value

    def pop(self, key: K) -> V | None:
        if self.get(key) is None:
            return None
        self._size -= 1
        return self._writable(key).pop(key)

    def done(self) -> PersistentMap[K, V]:
        return PersistentMap(self._shards, self._size)

    def _writable(self, key: K) -> dict[K, V]:
        number = hash(key) & _MASK
        if number not in self._own:
            self._own.add(number)
            self._shards[number] = dict(self._shards[number])
        return self._shards[number]
