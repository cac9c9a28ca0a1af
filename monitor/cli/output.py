"""Words, colours and JSON. Results go to standard output, everything said along the way to standard error."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.text import Text

_STYLE = {
    "ok": "green",
    "drift": "bold red",
    "bad_data": "bold magenta",
    "insufficient_data": "yellow",
    "promote": "bold green",
    "keep": "yellow",
    "reject": "red",
    "retrain": "bold cyan",
    "escalate": "bold red",
    "ask_labels": "bold red",
    "held": "bold red",
    "helped": "bold green",
    "promoted": "bold green",
    "rejected": "red",
    "passed": "green",
    "undecided": "yellow",
}
SMALLEST_PLAIN = 1e-3  # smaller numbers are written with an exponent, …
_FEW_DIGITS, _LARGEST_PLAIN = 100, 1e5  # … and larger ones with less precision
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_MANY_DAYS = 10 * _DAY  # from here on nobody asks for the hours
_PLAIN_WIDTH = 120  # of a pipe or file, where no terminal says how wide it is


def stdout() -> Console:
    return _console(stderr=False)


def stderr() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """Wide lines when nobody watches; a terminal, or COLUMNS, says its own width."""
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return Console(stderr=stderr, highlight=False, width=_PLAIN_WIDTH)
    return console


def emit(document: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def emit_line(document: Any) -> None:
    """Print one JSON object on a line of its own, at once."""
    sys.stdout.write(json.dumps(plain(document), ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Turn into JSON values; infinite and undefined numbers become null, for JSON knows neither."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | bool):
        return str(value) if isinstance(value, str) else value
    return str(value)


def verdict_text(word: str) -> Text:
    """A verdict, decision or outcome in its colour, as a person writes it."""
    return Text(word.replace("_", " "), style=_STYLE.get(word, ""))


def number(value: float | None, digits: int = 3) -> str:
    """A measured number, or a dash when it was not measured."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size and not SMALLEST_PLAIN <= size < _LARGEST_PLAIN:
        return f"{value:.{digits}g}"
    return f"{value:.{digits}f}" if size < _FEW_DIGITS else f"{value:,.1f}"


def percent(share: float) -> str:
    """Whole per cent, but never rounded to none or all."""
    whole = f"{share:.0%}"
    return f"{share:.1%}" if whole in ("0%", "100%") and share not in (0, 1) else whole


def count(n: int, thing: str) -> str:
    """`1 row`, `1,200 rows`, `2 batches`, `3 deliveries`."""
    if n == 1:
        return f"1 {thing}"
    if thing.endswith("y"):
        return f"{n:,} {thing[:-1]}ies"
    return f"{n:,} {thing}{'es' if thing.endswith('ch') else 's'}"


def moment(at: datetime, *, seconds: bool = False) -> str:
    """To the minute, or to the second, in UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def age(span: timedelta) -> str:
    """A span in its two largest units: `4 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. A negative one is not yet over."""
    seconds = int(abs(span.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    large, small, words = (_HOUR, _MINUTE, ("h", "min")) if seconds < _DAY else (_DAY, _HOUR, ("d", "h"))
    whole, rest = seconds // large, seconds % large // small if seconds < _MANY_DAYS else 0
    return f"{whole:,} {words[0]} {rest} {words[1]}" if rest else f"{whole:,} {words[0]}"


def ago(span: timedelta) -> str:
    return f"in {age(span)}" if span < timedelta(0) else f"{age(span)} ago"


@contextmanager
def progress(title: str) -> Iterator[Callable[[float, str], None]]:
    """A bar on standard error from the first call until the work is done; nothing where no terminal is there."""
    console = stderr()
    if not console.is_terminal:
        yield lambda _share, _word: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[word]}"), console=console, transient=True) as bar:
        task = bar.add_task(title, total=1.0, word="", visible=False)

        def show(share: float, word: str) -> None:
            bar.update(task, completed=share, word=word, visible=share < 1)

        yield show
