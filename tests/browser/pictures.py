"""Pictures that a test sends."""

import struct
import zlib


def png(width: int, height: int) -> bytes:
    """Return a picture of one colour."""
    rows = (b"\0" + b"\x3f\x5b\xd8" * width) * height

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
