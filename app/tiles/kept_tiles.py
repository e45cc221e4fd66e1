"""Tiles drawn last, kept in the process for whoever asks next.

A tag names all that a tile is made of, so what was drawn under it is what would be drawn again.
"""

from collections import OrderedDict

# What a tile takes beside its own bytes.
OVERHEAD_BYTES = 500
Address = tuple[str, bytes]


class KeptTiles:
    """The last tile drawn at each address for each tag, together no larger than `most_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._n_bytes = 0
        self._tiles: OrderedDict[str, bytes] = OrderedDict()
        self._tags: dict[Address, set[str]] = {}
        self._addresses: dict[str, Address] = {}

    def may_hold(self, address: Address) -> bool:
        """Tell whether a tile of this path and query is kept, whoever may see it."""
        return address in self._tags

    def find(self, tag: str) -> bytes | None:
        """Return the tile of a tag; what is asked for is kept longer."""
        tile = self._tiles.get(tag)
        if tile is not None:
            self._tiles.move_to_end(tag)
        return tile

    def keep(self, address: Address, tag: str, tile: bytes) -> None:
        """Keep a tile, and let go of those asked for longest ago."""
        self._drop(tag)
        self._tiles[tag] = tile
        self._addresses[tag] = address
        self._tags.setdefault(address, set()).add(tag)
        self._n_bytes += len(tile) + OVERHEAD_BYTES
        while self._n_bytes > self._most_bytes:
            self._drop(next(iter(self._tiles)))

    def _drop(self, tag: str) -> None:
        tile = self._tiles.pop(tag, None)
        if tile is None:
            return
        self._n_bytes -= len(tile) + OVERHEAD_BYTES
        address = self._addresses.pop(tag)
        self._tags[address].discard(tag)
        if not self._tags[address]:
            del self._tags[address]
