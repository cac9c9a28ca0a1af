"""Names that users give, as file names."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

_UNSAFE = re.compile(r"[^\w.,=@+ -]|^\.")
_LONGEST_BYTES = 200  # file systems take 255, and a suffix and a temporary name are still to come


def safe_name(name: str) -> str:
    """Return a file name for `name`: different names give different file names.

    Everything but letters, digits and `_.,=@+ -` is percent-encoded, `/` included, and so is a dot in front. That
    can be read back with `urllib.parse.unquote`, unless it is too long: then its end is replaced by a hash.
    """
    encoded = _UNSAFE.sub(_percent, name)
    raw = encoded.encode()
    if len(raw) <= _LONGEST_BYTES:
        return encoded
    digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=16).hexdigest()
    return f"{raw[: _LONGEST_BYTES - 34].decode(errors='ignore')}%~{digest}"


def _percent(found: re.Match[str]) -> str:
    return "%2E" if found[0] == "." else quote(found[0], safe="", errors="surrogateescape")
