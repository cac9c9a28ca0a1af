"""What single values in a configuration file look like: durations, counts of batches, sizes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BATCHES = re.compile(r"^\s*(\d+)\s*batch(?:es)?\s*$")


def parse_duration(text: Any) -> timedelta:
    """Read `90s`, `5m`, `1d`; raises ValueError for anything else, plain numbers included (no unit, no guess)."""
    if isinstance(text, timedelta):
        return text
    if (found := _DURATION.match(str(text))) is None:
        raise ValueError(f"{text!r} is not a duration such as 90s, 5m, 2h, 1d")
    return timedelta(seconds=float(found[1]) * _UNIT_SECONDS[found[2]])


def parse_batches(text: Any) -> int:
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if (found := _BATCHES.match(str(text))) is None:
        raise ValueError(f"{text!r} is not a number of batches such as `3 batches`")
    return int(found[1])


def _parse_size(text: Any) -> int:
    found = re.match(r"^\s*(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB)\s*$", str(text))
    if found is None:
        raise ValueError(f"{text!r} is not a size such as 512MiB or 4GiB")
    return int(float(found[1]) * 1024 ** ("KiB", "MiB", "GiB").index(found[2]) * 1024)


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Batches = Annotated[int, BeforeValidator(parse_batches), Field(ge=0)]
Size = Annotated[int, BeforeValidator(_parse_size), Field(gt=0)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
