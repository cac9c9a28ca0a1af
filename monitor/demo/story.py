"""What happens, told on a terminal while it happens. Nothing is known here but what the monitor itself says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from monitor.app.advance import Listener
from monitor.app.ports import Log, Store
from monitor.app.retrain_model import Attempt
from monitor.demo.terminal import FEEDER, Terminal
from monitor.domain.record import BatchRecord
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict

_LOOK_BACK = 30  # batches whose labels may still come
_SHOWN_COLUMNS = 4
_STYLE = {Verdict.OK: "green", Verdict.DRIFT: "bold red", Verdict.BAD_DATA: "bold magenta"}


@dataclass(frozen=True, slots=True)
class _Level:
    accuracy: float
    version: int
    batch: str


class Story:
    """Tells what a daemon's listener and log say about one deployment. Lines may come from any thread."""

    def __init__(self, terminal: Terminal, deployment: str, metric: str) -> None:
        self._terminal, self._deployment, self._metric = terminal, deployment, metric
        self.say = terminal.say
        self._told: set[str] = set()  # batches whose accuracy was told
        self._healthy: _Level | None = None  # of the version's best batch judged ok: alarms come after the harm
        self._last: _Level | None = None
        self._before: _Level | None = None  # of the last batch before a promotion that is still to show that it helps
        self._store: Store | None = None
        self._seen: dict[Channel, ChannelVerdict] = {}  # of the batch before
        self._decision = ""
        self._first_version: int | None = None  # deployed, and not yet told
        self._promoted: int | None = None
        self._told_of: int | None = None  # the version whose first labels have been told of
        self.deployed: Callable[[], None] = lambda: None  # called when there is a first model
        self.recovered: Callable[[str], None] = lambda batch: None  # called with the batch that shows that it helped

    def open(self, store: Store) -> None:
        """Take what is in the history as told."""
        self._store = store
        for record in store.records(self._deployment):
            if record["performance"]["realised"] is not None:
                self._told.add(record["batch"])

    @property
    def listener(self) -> Listener:
        return Listener(record=self._on_record, attempt=self._on_attempt, progress=self._terminal.progress)

    def log_event(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Hear what the daemon logs."""
        tell: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "first_training_started": lambda f: self.say(
                "monitor", f"no model yet: training the first one from {f['path']}"
            ),
            "promoted": self._on_promoted,
            "retrain_started": lambda f: self.say("monitor", f"retraining ({f['trigger']}) …", style="bold cyan"),
            "prior_correction": self._on_correction,
            "report_written": lambda f: self.say("monitor", f"report of {f['batch']}: {f['file']}", style="dim"),
            "stopped": lambda _: self.say("demo", "stopped; `make run` goes on from here"),
            "draining": lambda f: self.say("monitor", f"finishing what is at hand, at most {f['seconds']:g} s …"),
        }
        if event in tell:
            tell[event](fields)
        elif level != "info":
            details = ", ".join(
                f"{key}={value}" for key, value in fields.items() if key not in ("deployment", "exc_info")
            )
            self.say("monitor", f"{event.replace('_', ' ')}: {details}", style="red" if level == "error" else "yellow")

    def feeder(self, line: str) -> None:
        """Pass on what the feeder says, marked as not being the monitor's knowledge."""
        self._tell_first_version()
        self.say(FEEDER, line, style="yellow")

    def _on_record(self, record: BatchRecord) -> None:
        self._tell_first_version()
        self._tell_accuracies()
        line = Text(f"{record.batch}: {record.rows} images  ")
        for channel, verdict in record.verdicts.items():
            if channel is not Channel.PERFORMANCE:  # its labels come later: told with them
                line.append(f"{channel} ").append_text(_styled(verdict.verdict)).append("  ")
        self.say("monitor", line)
        for channel, verdict in record.verdicts.items():
            if channel is not Channel.PERFORMANCE and _is_news(verdict, self._seen.get(channel)):
                self.say("", _explained(verdict))
        self._seen = dict(record.verdicts)
        if record.decision not in ("retrain", self._decision):
            self.say("", f"  decision {record.decision}: {record.decision_reason}", style="dim")
        self._decision = record.decision

    def _tell_first_version(self) -> None:
        """The log speaks of a promotion before it is committed; by now its numbers can be read."""
        if self._first_version is None or self._store is None:
            return
        manifest = self._store.manifest(self._deployment, self._first_version)
        if manifest is not None:
            what = f"{self._metric} {manifest.metrics[self._metric]:.3f} on {manifest.held_out_rows} held-out images"
            self.say("monitor", f"version {self._first_version} is deployed: {what}", style="bold green")
            self._first_version = None

    def _tell_accuracies(self) -> None:
        if self._store is None:
            return
        for record in self._store.records(self._deployment, last=_LOOK_BACK):
            performance, batch = record["performance"], record["batch"]
            if performance["realised"] is None or batch in self._told:
                continue
            self._told.add(batch)
            self._tell_accuracy(batch, record["model_version"], performance, record["verdicts"]["performance"])

    def _tell_accuracy(
        self, batch: str, version: int, performance: Mapping[str, Any], verdict: Mapping[str, Any]
    ) -> None:
        accuracy = performance["realised"]
        line = Text(f"labels of {batch} came: {self._metric} {accuracy:.3f} with version {version}  performance ")
        line.append_text(_styled(Verdict(verdict["verdict"])))
        self.say("monitor", line)
        if performance["raw"] is not None:
            both = f"{performance['raw']:.3f} with the scores as they are, {accuracy:.3f} as served"
            self.say("", f"  {self._metric} {both}", style="bold green" if accuracy > performance["raw"] else "bold")
        if verdict["verdict"] == Verdict.DRIFT:
            self.say("", f"  performance: {verdict['reason']}")
        level = _Level(accuracy, version, batch)
        if self._before is not None and version == self._promoted:
            self._tell_recovery(self._before, level)
        elif verdict["verdict"] == Verdict.OK and (
            self._healthy is None or level.version != self._healthy.version or level.accuracy > self._healthy.accuracy
        ):
            self._healthy = level
        self._last = level

    def _tell_recovery(self, before: _Level, now: _Level) -> None:
        """Back means: at least half of what was lost has come back, by this version or by a later one."""
        healthy = self._healthy or before
        back = now.accuracy > before.accuracy and now.accuracy >= (healthy.accuracy + before.accuracy) / 2
        if not back and self._told_of == now.version:
            return
        self._told_of = now.version
        levels = " → ".join(
            f"{level.accuracy:.3f} (version {level.version}, {level.batch})"
            for level in dict.fromkeys((healthy, before, now))
        )
        self.say(
            "monitor", f"{self._metric}{' back' if back else ''}: {levels}", style="bold green" if back else "bold"
        )
        if back:
            self._before = None
            self.recovered(now.batch)

    def _on_correction(self, fields: Mapping[str, Any]) -> None:
        what = "corrected for the class shares, which have moved" if fields["corrected"] else "as the model gives them"
        self.say("monitor", f"scores are served {what}, from {fields['batch']} on", style="bold cyan")

    def _on_promoted(self, fields: Mapping[str, Any]) -> None:
        version, previous = fields["version"], fields["previous"]
        self._before, self._promoted = self._before or self._last, version
        if previous is None:
            self._first_version = version
            self.deployed()

    def _on_attempt(self, attempt: Attempt) -> None:
        self._terminal.end_progress()
        promoted = attempt.version is not None
        style = "bold green" if promoted else "bold yellow"
        what = (
            f"promoted version {attempt.version} ({attempt.chosen})"
            if promoted
            else f"{attempt.outcome}: no new version"
        )
        self.say("monitor", f"{what} after {attempt.seconds:.0f} s: {attempt.reason}", style=style)
        if {"champion", attempt.chosen} <= set(attempt.metrics):
            old, new = attempt.metrics["champion"], attempt.metrics[attempt.chosen]
            numbers = f"{old:.3f} → {new:.3f}, before the refit"
            self.say("", f"  {self._metric} on the {attempt.held_out} newest labelled images: {numbers}")


class ToldLog:
    """A log that is told, too."""

    def __init__(self, log: Log, story: Story) -> None:
        self._log, self._story = log, story

    def info(self, event: str, **fields: Any) -> None:
        self._log.info(event, **fields)
        self._story.log_event("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._log.warning(event, **fields)
        self._story.log_event("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._log.error(event, **fields)
        self._story.log_event("error", event, fields)


def _styled(verdict: Verdict) -> Text:
    return Text(verdict.value.replace("_", " "), style=_STYLE.get(verdict, ""))


def _is_news(now: ChannelVerdict, before: ChannelVerdict | None) -> bool:
    """A verdict that needs explaining: a new one, or one on many more columns than before."""
    if now.verdict not in (Verdict.DRIFT, Verdict.BAD_DATA):
        return False
    return before is None or before.verdict is not now.verdict or len(now.columns) >= 2 * len(before.columns)


def _explained(verdict: ChannelVerdict) -> Text:
    """Why, and what moved most: the largest shifts first."""
    moved = [f"{c.name} {c.measure} {c.shift:+.2f}" for c in verdict.columns[:_SHOWN_COLUMNS]]
    more = len(verdict.columns) - len(moved)
    columns = f" ({', '.join(moved)}{f', and {more} more' if more else ''})" if moved else ""
    return Text(f"  {verdict.channel}: {verdict.reason}{columns}")
