"""Lines and a progress bar on one terminal, from any thread."""

from __future__ import annotations

import threading
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.text import Text

from monitor.app.ports import Clock

FEEDER = "feeder:"


class Terminal:
    """Each line says how long after the start, who speaks, and what. Without a terminal there is no bar."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console, self._clock, self._begin = console, clock, clock()
        self._lock = threading.Lock()
        self._bar: tuple[Progress, TaskID] | None = None

    def say(self, who: str, text: str | Text, *, style: str = "") -> None:
        seconds = int((self._clock() - self._begin) / timedelta(seconds=1))
        line = Text(f"{seconds // 60:3}:{seconds % 60:02}  ", style="dim")
        line.append(f"{who:<9}", style="yellow" if who == FEEDER else "bold")
        line.append_text(text if isinstance(text, Text) else Text(text, style=style))
        with self._lock:
            self._console.print(line, soft_wrap=True)
            self._console.file.flush()  # a daemon that ends at its deadline takes what is buffered with it

    def progress(self, share: float, what: str) -> None:
        """Show a bar from the first call until `share` is 1."""
        if not self._console.is_terminal:
            return
        if self._bar is None:
            columns = (BarColumn(30), TaskProgressColumn(), TextColumn("{task.description}"))
            bar = Progress(TextColumn("       training "), *columns, console=self._console, transient=True)
            bar.start()
            self._bar = bar, bar.add_task(what, total=1.0)
        bar, task = self._bar
        bar.update(task, completed=share, description=what)
        if share >= 1:
            self.end_progress()

    def end_progress(self) -> None:
        """Take the bar away, if there is one."""
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None
