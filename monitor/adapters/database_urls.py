"""Database URLs as they stand in configuration: `${NAME}` is from the environment, and is never shown again."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from monitor.errors import ConfigError

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """`shown` is fit for messages; `hide` takes the secrets out of a text that a driver wrote."""

    url: URL
    shown: str
    secrets: tuple[str, ...]

    def hide(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, _HIDDEN)
        return text


def read_url(configured: str, key: str) -> DatabaseUrl:
    """Raises ConfigError naming `key` and what is wrong, without the URL: it may hold a password."""
    values: dict[str, str] = {}
    for name in _VARIABLE.findall(configured):
        if not os.environ.get(name):
            raise ConfigError(f"{key}: the environment variable {name} is not set")
        values[name] = os.environ[name]
    whole = _VARIABLE.fullmatch(configured)
    text = _VARIABLE.sub(lambda m: values[m[1]] if whole else quote(values[m[1]], safe=""), configured)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(f"{key}: not a database URL such as postgresql://USER@HOST/NAME") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    parameters = (url.query[name] for name in ("password", "sslpassword") if name in url.query)
    found = {*values.values(), str(url.password or ""), *map(str, parameters)}
    secrets = tuple(sorted({s for text in found if text for s in (text, quote(text, safe=""))}, key=len, reverse=True))
    shown = configured if values else url.render_as_string(hide_password=True)
    known = DatabaseUrl(url, "", secrets)
    return replace(known, shown=known.hide(shown))
