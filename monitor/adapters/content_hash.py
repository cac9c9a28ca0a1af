"""What the content of a delivery is known by: the ledger tells by it what came twice."""

from __future__ import annotations

from blake3 import blake3

_BYTES = 16


def content_hash(content: bytes, *, place: str = "") -> str:
    """BLAKE3, in hexadecimal; six times as fast as what the standard library has. `place` becomes a part of it."""
    digest = blake3(f"{place}\0".encode() if place else b"")
    return digest.update(content).hexdigest(length=_BYTES)
