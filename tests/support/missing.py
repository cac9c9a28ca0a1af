"""What a test needs and this machine does not have or allow."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Leave the test out and say why; with `CI=true` it fails, for there everything is required."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(f"left out: {what}")
