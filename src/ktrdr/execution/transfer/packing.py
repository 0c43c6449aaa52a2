"""Files packed for the way and unpacked from it, in pieces: no file is ever in memory as a whole."""

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ktrdr.contracts.hosts import PackedFile
from ktrdr.contracts.models import Content
from ktrdr.errors import TransferCorrupt
from ktrdr.execution.files import Digesting, write_content

PIECE = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 1
"""Weights hardly shrink at any level (by 7 to 8 %), and this one is the fastest."""


class _Gzip:
    """A file to write to that compresses into another one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def write(self, content: bytes) -> int:
        view = memoryview(content)
        for start in range(0, len(view), PIECE):
            self._file.write(self._compressor.compress(view[start : start + PIECE]))
        return len(content)

    def flush(self) -> None:
        """Nothing: what is compressed later continues what was before."""

    def close(self) -> None:
        """Write what is left. The file beneath stays open."""
        self._file.write(self._compressor.flush())


def pack(content: Content, path: Path) -> PackedFile:
    """Write `content` to `path` as gzip and wait until the disk has it."""
    with path.open("wb") as file:
        packer = _Gzip(file)
        written: Digesting = write_content(content, cast("BinaryIO", packer))
        packer.close()
        file.flush()
        os.fsync(file.fileno())
        return PackedFile(sha256=written.sha256, size=written.size, compressed_size=file.tell())


def unpack(packed: Iterable[bytes], path: Path, expected: PackedFile) -> None:
    """Write what was packed to `path`. Raises TransferCorrupt as soon as it is not what is expected; it never writes
    more than that."""
    unpacker, sha256, size = zlib.decompressobj(_GZIP), hashlib.sha256(), 0
    with path.open("wb") as file:
        try:
            for piece in packed:
                waiting = piece
                while waiting:
                    if unpacker.eof:
                        raise TransferCorrupt("something follows the end of a packed file: send it again")
                    plain = unpacker.decompress(waiting, min(PIECE, expected.size - size + 1))
                    waiting = unpacker.unconsumed_tail or unpacker.unused_data
                    size += len(plain)
                    if size > expected.size:
                        raise TransferCorrupt(f"a packed file holds more than the {expected.size:,} bytes it should")
                    sha256.update(plain)
                    file.write(plain)
        except zlib.error as error:
            raise TransferCorrupt(f"a packed file cannot be unpacked ({error}): send it again") from None
    if not unpacker.eof or size != expected.size or sha256.hexdigest() != expected.sha256:
        raise TransferCorrupt(
            f"of {expected.size:,} bytes {size:,} arrived, or not those that were sent: send them again"
        )


def pieces(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
