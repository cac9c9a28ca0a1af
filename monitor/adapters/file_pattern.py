"""A configured path: literal folders, then wildcards and date parts. Which files match, their names and windows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Self
from urllib.parse import quote
from zoneinfo import ZoneInfo

from monitor.adapters.file_reading import suffix_of
from monitor.domain.batch import Window
from monitor.errors import ConfigError

_PARTS = ("year", "month", "day", "hour")
_DIGITS = {"year": r"\d{4}", "month": r"\d{1,2}", "day": r"\d{1,2}", "hour": r"\d{1,2}"}
_TOKEN = re.compile(r"\{(\w*)\}|\*\*/|\*\*|\*|\?|\[!?[^\]/]+\]|[{}]|[^*?\[{}]+|\[")
_WILD = re.compile(r"[*?\[{]")
_NAME_BYTES = 120  # of one part of a name; longer ones are cut and get a hash
_PLAIN = re.compile(rf"[A-Za-z0-9._~=+@,-]{{1,{_NAME_BYTES}}}")
_NOT_HIDDEN = r"(?!(?s:(?:.*/)?[._]))"
_TEMPORARY = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".swp", "~")
_NOT_TEMPORARY = "".join(f"(?i:(?<!{re.escape(suffix)}))" for suffix in _TEMPORARY)


@dataclass(frozen=True, slots=True)
class FilePattern:
    """`fixed` is the folder before the first wildcard or date part, with "/" at its end, or "" ."""

    fixed: str
    zone: ZoneInfo
    _expression: re.Pattern[str]
    _parts: tuple[str, ...]
    _one_suffix: str  # that every match has, else ""
    depth: int | None  # folders below `fixed` to look into, itself included; None: all

    @classmethod
    def parse(cls, path: str, *, timezone: str | None, key: str) -> Self:
        """Read a path such as `in/{year}/{month}/{day}/*.parquet`. Raises ConfigError naming `key`."""
        segments = path.split("/")
        literal = next((i for i, s in enumerate(segments) if _WILD.search(s)), len(segments) - 1)
        literal = min(literal, len(segments) - 1)
        fixed, rest = "/".join(segments[:literal]), "/".join(segments[literal:])
        expression, parts = _translate(rest, path, key)
        known = tuple(p for p in _PARTS if p in parts)
        if known != _PARTS[: len(known)]:
            raise ConfigError(f"{key}: {path}: {{{known[-1]}}} needs the larger date parts before it")
        try:
            zone = ZoneInfo(timezone or "UTC")
        except (KeyError, ValueError, OSError) as exc:
            raise ConfigError(f"schema.timezone: {timezone!r} is not a time zone such as UTC or Europe/Berlin") from exc
        suffix = suffix_of(rest)
        depth = None if "**" in rest else rest.count("/") + 1
        compiled = re.compile(_NOT_HIDDEN + expression + _NOT_TEMPORARY)
        return cls(f"{fixed}/" if literal else "", zone, compiled, known, suffix, depth)

    def matches(self, below: str) -> bool:
        """Whether the path below `fixed` matches and is neither hidden nor temporary."""
        return self._expression.fullmatch(below) is not None

    def name(self, below: str) -> str:
        """A name for the path below `fixed`, usable as a file name, different for different paths.

        The suffix goes when the pattern fixes it. Letters, digits and `.-_~=+@,` stay, other characters become %XX.
        """
        stem = below[: -len(self._one_suffix)] if self._one_suffix else below
        return "/".join(_safe(part) for part in stem.split("/"))

    def window(self, below: str) -> Window | None:
        """The hour, day, month or year that the date parts name, in the pattern's zone; None without date parts.

        Raises ValueError for an impossible date.
        """
        if not self._parts:
            return None
        found = self._expression.fullmatch(below)
        if found is None:
            raise ValueError(f"{below} does not match")
        numbers = {part: int(found[part]) for part in self._parts}
        start, end = _span(numbers)
        return Window(*(t.replace(tzinfo=self.zone).astimezone(UTC) for t in (start, end)))


def _translate(rest: str, path: str, key: str) -> tuple[str, tuple[str, ...]]:
    """A regular expression for the part of the pattern behind `fixed`, and the date parts in it."""
    expression, parts = "", []
    for token in _TOKEN.finditer(rest):
        text, part = token[0], token[1]
        if part in _PARTS:
            expression += f"(?P={part})" if part in parts else f"(?P<{part}>{_DIGITS[part]})"
            parts.append(part)
        elif text[0] in "{}":
            raise ConfigError(
                f"{key}: {path}: {text} is not a date part; known are {{year}}, {{month}}, {{day}}, {{hour}}"
            )
        elif text[0] == "[" and len(text) > 1:
            inner = text[1:-1].replace("\\", r"\\").replace("[", r"\[")
            expression += f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
        else:
            expression += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(text, re.escape(text))
    return expression, tuple(parts)


def _span(numbers: Mapping[str, int]) -> tuple[datetime, datetime]:
    """First moment of the span and first moment after it, without zone: the zone's clock decides how long it is."""
    year, month, day, hour = (numbers.get(part, first) for part, first in zip(_PARTS, (1, 1, 1, 0), strict=True))
    start = datetime(year, month, day, hour)  # noqa: DTZ001 - the caller places it in the pattern's zone
    if "hour" in numbers:
        return start, start + timedelta(hours=1)
    if "day" in numbers:
        return start, start + timedelta(days=1)
    if "month" in numbers:
        return start, start.replace(year=year + month // 12, month=month % 12 + 1)
    return start, start.replace(year=year + 1)


def _safe(part: str) -> str:
    if _PLAIN.fullmatch(part):  # nearly always; to quote it takes ten times as long
        return part
    text = quote(part, safe="=+@,")
    if len(text) <= _NAME_BYTES and text:
        return text
    return f"{text[:_NAME_BYTES]}~{blake2b(part.encode(), digest_size=6).hexdigest()}"
