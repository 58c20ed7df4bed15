"""Files of bars as they are in memory, beside the store: what was decoded once is read as fast as the disk gives it.

Parquet is small and every tool reads it, but decoding takes several times as long as copying. The arrays of a large
file are therefore kept as they are, in a file below ``.tmp/decoded``. The Parquet file is the truth: a copy counts only
if it was made of this very content (by its digest), checked by the same rules, and if its numbers add up to what they
added up to then; else it is made anew. It can be deleted at any time, and nothing that is stored is made of it.

A copy is a head of 256 bytes, then the rows of a C-ordered array of shape ``(6, bars)``, 8 bytes each, little-endian:
open time (ns), open, high, low, close (ticks), volume (float64).
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Ints

LEAST = 5_000
"""Files of fewer bars are decoded as fast as they could be copied."""
MOST_BYTES = 1_000_000_000
"""All copies together take no more; those that were not read for the longest time make room."""
_HEAD = struct.Struct("<8sq64s6Q")
_HEAD_BYTES = 256
_MAGIC = b"PREGAO 1"


class Decoded:
    """The copies of one store.

    Args:
        root: the store's folder; a copy is made only where `begin` has been called once, which whoever writes does. So
            a folder that is only read, such as a snapshot, stays as it is.
        most_bytes: see `MOST_BYTES`.
    """

    def __init__(self, root: Path, most_bytes: int = MOST_BYTES) -> None:
        self._root = root
        self._folder = root / ".tmp" / "decoded"
        self._most_bytes = most_bytes

    def begin(self) -> None:
        """From now on, copies are made."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)

    def read(self, path: Path, identity: str, into: Ints) -> bool:
        """Fill an array with the copy of a file.

        Args:
            path: the file of bars.
            identity: names its content and the rules it was checked by, in at most 64 characters.
            into: shape ``(6, bars)``; what it holds afterwards means nothing if the answer is False.

        Returns:
            Whether there is such a copy, undamaged.
        """
        if not identity or into.shape[1] < LEAST:
            return False
        head = bytearray(_HEAD_BYTES)
        try:
            handle = os.open(self._place(path), os.O_RDONLY)
        except OSError:
            return False
        try:
            got = os.readv(handle, [head, *into])
            with suppress(OSError):
                os.utime(handle)
        except OSError:
            return False
        finally:
            os.close(handle)
        if got != _HEAD_BYTES + into.shape[1] * 48:
            return False
        return _HEAD.unpack_from(head) == (_MAGIC, into.shape[1], _padded(identity), *_sums(into))

    def keep(self, path: Path, identity: str, rows: Ints) -> None:
        """Make a copy of a file that was decoded; where that cannot be done, there is none.

        Args:
            path, identity: as of `read`.
            rows: shape ``(6, bars)``.
        """
        if not identity or rows.shape[1] < LEAST or not self._folder.is_dir():
            return
        unfinished = self._folder.parent / f"{uuid4().hex}.part"
        head = _HEAD.pack(_MAGIC, rows.shape[1], _padded(identity), *_sums(rows)).ljust(_HEAD_BYTES, b"\0")
        with suppress(OSError):
            try:
                with open(unfinished, "wb") as file:
                    file.write(head)
                    for row in rows:
                        file.write(np.ascontiguousarray(row).data)
                os.replace(unfinished, self._place(path))
            finally:
                unfinished.unlink(missing_ok=True)
            self._make_room()

    def _place(self, path: Path) -> Path:
        return self._folder / quote(path.relative_to(self._root / "bars").as_posix(), safe="")

    def _make_room(self) -> None:
        with os.scandir(self._folder) as entries:
            found = sorted((stat.st_mtime_ns, stat.st_size, entry.path) for entry in entries for stat in [entry.stat()])
        total = sum(size for _, size, _ in found)
        for _, size, name in found:
            if total <= self._most_bytes:
                return
            with suppress(FileNotFoundError):
                os.unlink(name)
            total -= size


def _padded(identity: str) -> bytes:
    return identity.encode().ljust(64, b"\0")


def _sums(rows: Ints) -> list[int]:
    """What the bits of each row add up to, modulo 2**64: other bits, other sums, but for one in 2**64."""
    words: NDArray[np.uint64] = rows.view(np.uint64)
    return [int(np.add.reduce(row)) for row in words]
