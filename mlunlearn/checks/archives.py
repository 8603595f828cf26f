"""What compressed bytes hold."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

DEPTH = 3  # archives in archives
MOST_BYTES = 2**26  # of one archive

Decompressor = Callable[[], Any]
DECOMPRESSORS: dict[bytes, Decompressor] = {
    b"\x78\x01": zlib.decompressobj,
    b"\x78\x5e": zlib.decompressobj,
    b"\x78\x9c": zlib.decompressobj,
    b"\x78\xda": zlib.decompressobj,
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16),  # gzip
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
}
"""First bytes of a compressed stream, and what reads it."""


def unpacked(content: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """Yield bytes and, where they are an archive or an array in numpy's format, what is inside.

    Parameters
    ----------
    content : bytes
        Anything.
    depth : int, default=3
        How many archives inside each other are opened.

    Yields
    ------
    bytes
        First `content` itself. What only looks like an archive is passed over.
    """
    yield content
    if depth:
        for inside in _inside(content):
            yield from unpacked(inside, depth - 1)


def _inside(content: bytes) -> Iterator[bytes]:
    if content.startswith(b"PK\x03\x04"):
        yield from _members(content)
    elif content.startswith(b"\x93NUMPY"):
        yield from _array(content)
    for first, decompressor in DECOMPRESSORS.items():
        if content.startswith(first):
            try:
                yield decompressor().decompress(content, MOST_BYTES)
            except (zlib.error, OSError, EOFError, lzma.LZMAError):  # not compressed after all
                return


def _members(content: bytes) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    yield file.read(MOST_BYTES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError):  # damaged, or encrypted
        return


def _array(content: bytes) -> Iterator[bytes]:
    """Read an array that may be stored column by column, where no row stands in one piece."""
    try:
        yield np.load(io.BytesIO(content), allow_pickle=False).tobytes()
    except (ValueError, EOFError):
        return
