"""One line per event, ours and the libraries', in the form that was asked for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pytest

from monitor.adapters.logging_setup import configure
from monitor.app.ports import Log


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_has_event_level_time_and_fields():
    out = io.StringIO()
    configure("json", "info", stream=out).info("batch_done", deployment="prices", rows=100)
    (line,) = lines(out)
    assert (line["event"], line["level"], line["deployment"], line["rows"]) == ("batch_done", "info", "prices", 100)
    assert datetime.fromisoformat(str(line["timestamp"])).utcoffset() is not None


def test_console_is_one_readable_line_without_colours_where_no_terminal_is():
    out = io.StringIO()
    configure("console", "info", stream=out).warning("batch_bad", batch="day_001")
    (line,) = out.getvalue().splitlines()
    assert "batch_bad" in line
    assert "batch=day_001" in line
    assert "\x1b" not in line


def test_the_level_counts_and_the_last_call_wins():
    first, second = io.StringIO(), io.StringIO()
    configure("json", "debug", stream=first)
    log = configure("json", "warning", stream=second)
    log.info("not_shown")
    log.error("shown")
    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["shown"]


def test_libraries_come_out_in_the_same_form_and_are_quiet():
    out = io.StringIO()
    configure("json", "info", stream=out)
    logging.getLogger("some.library").warning("it is %s", "late")
    logging.getLogger("apscheduler.scheduler").warning("a tick was skipped")
    assert [(line["event"], line["level"]) for line in lines(out)] == [("it is late", "warning")]


def crash(log: Log) -> None:
    held = "canary-" + "of-a-variable"  # in two parts, for the line itself may be shown
    try:
        len(held) / 0
    except ZeroDivisionError:
        log.error("pass_crashed", exc_info=True)  # noqa: G201 - the port knows `error` alone


def test_a_traceback_is_data_in_json():
    out = io.StringIO()
    crash(configure("json", "info", stream=out))
    (line,) = lines(out)
    assert "ZeroDivisionError" in json.dumps(line["exception"])


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_has_no_values_of_variables(form: Literal["json", "console"]):
    out = io.StringIO()
    crash(configure(form, "info", stream=out))
    assert "ZeroDivisionError" in out.getvalue()
    assert "canary-of-a-variable" not in out.getvalue()
