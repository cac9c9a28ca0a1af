"""What was seen in the data. These alerts do not wait: the detector has its own budget of false alarms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from monitor.adapters.prometheus_rules.alert import Alert, Series, Severity, quoted, seconds
from monitor.app.judge import NO_FIT
from monitor.config.deployment import Deployment
from monitor.config.settings import AlertsConfig
from monitor.domain.verdict import Channel
from monitor.stats.performance import higher_is_better

_BUDGET_WINDOW = timedelta(days=7)
_SCRAPED = timedelta(seconds=30)  # two scrapes and evaluations as they are shipped: an event that is younger was seen
_LOG = "log"  # the action of a channel that alerts nobody


@dataclass(frozen=True, slots=True)
class DriftAlerts:
    """Of one deployment. A channel whose action is `log` has no alert."""

    deployment: Deployment
    config: AlertsConfig

    def __iter__(self) -> Iterator[Alert]:
        yield self._bad_data()
        if self._alerts(Channel.INPUTS):
            yield self._drift("DataDrift", Channel.INPUTS, "the inputs have drifted")
        if self._alerts(Channel.PREDICTIONS):
            yield self._drift("PredictionDrift", Channel.PREDICTIONS, "the predictions have drifted")
        if self._alerts(Channel.LABELS):
            yield self._label_shift()
            yield self._scores_that_do_not_fit()
        if self._alerts(Channel.PERFORMANCE):
            yield self._drift(
                "PerformanceDegraded", Channel.PERFORMANCE, "the model has got worse", severity=Severity.CRITICAL
            )
            yield self._not_restored()
            yield self._estimated()
        if self.deployment.detect.rule == "budget":
            yield from self._budget()

    @property
    def _series(self) -> Series:
        return Series(self.config.job, self.deployment.name)

    def _alerts(self, channel: Channel) -> bool:
        return self.deployment.detect.channels.of(channel) != _LOG

    def _verdict(self, channel: Channel, verdict: str = "drift") -> str:
        return f"{self._series.highest('verdict', channel=channel.value, verdict=verdict)} == 1"

    @property
    def _no_fit(self) -> str:
        return f"{self._series.highest('label_shift_fit_p_value')} < {NO_FIT:g}"

    def _drift(
        self, name: str, channel: Channel, what: str, *, expr: str = "", severity: Severity = Severity.WARNING
    ) -> Alert:
        moved = f"max by (column) ({self._series.select('column_shift', channel=channel.value)})"
        columns = (
            f"{{{{ range query {quoted(f'sort_desc({moved})')} }}}}"
            '{{ .Labels.column }} {{ printf "%.2f" .Value }}; {{ end }}'
        )
        return Alert(
            name=name,
            expr=expr or self._verdict(channel),
            severity=severity,
            keep=self.config.keep,
            labels={"channel": channel.value},
            summary=f"{self.deployment.name}: {what}",
            description=_STANDS if self.deployment.detect.rule == "budget" else _OF_ITSELF,
            annotations={"columns": columns},
        )

    def _bad_data(self) -> Alert:
        """While it is the last batch, and also when others came after it before anybody looked.

        By when it was judged, not by the counter: a process that judges it before its first scrape shows no rise.
        """
        age, new = self._series.age("last_bad_batch_timestamp_seconds"), max(self.config.hold, _SCRAPED)
        return Alert(
            name="BadData",
            expr=f"{self._verdict(Channel.INPUTS, 'bad_data')}\nor {age} < {seconds(new)}",
            severity=Severity.WARNING,
            keep=self.config.keep,
            summary=f"{self.deployment.name}: a batch cannot be used",
            description=(
                "It was not judged, and nothing is retrained on it. "
                f"`monitor journal {self.deployment.name} --event bad_data` says why. "
                "Where single rows were refused, they are in "
                f"`collected/{self.deployment.name}/quarantine` of the data folder; a file that cannot be read as a "
                "whole is only where it was delivered."
            ),
        )

    def _label_shift(self) -> Alert:
        """Only where the scores fit the estimated shares: else the shares mean little, and it is something else."""
        expr = f"{self._verdict(Channel.LABELS)}\nunless on ({self._series.by}) {self._no_fit}"
        return self._drift("LabelShift", Channel.LABELS, "the shares of the classes have moved", expr=expr)

    def _scores_that_do_not_fit(self) -> Alert:
        expr = f"{self._verdict(Channel.LABELS)}\nand on ({self._series.by}) {self._no_fit}"
        if self._alerts(Channel.PREDICTIONS):
            expr += f"\nunless on ({self._series.by}) {self._verdict(Channel.PREDICTIONS)}"
        what = "the scores have moved, and not as other class shares would move them"
        return self._drift("PredictionDrift", Channel.LABELS, what, expr=expr)

    def _not_restored(self) -> Alert:
        """A promotion closes the alarm that it answers; whether it has mended anything is another question."""
        lasting = f"{self._series.highest('performance_not_restored')} == 1"
        return Alert(
            name="PerformanceNotRestored",
            expr=f"{lasting}\nunless on ({self._series.by}) {self._verdict(Channel.PERFORMANCE)}",
            severity=Severity.WARNING,
            hold=self.config.hold,
            keep=self.config.keep,
            labels={"channel": Channel.PERFORMANCE.value},
            summary=f"{self.deployment.name}: performance is not what it was, and no alarm says so any more",
            description=(
                "It got worse, and the versions promoted since do not bring it back. "
                f"`monitor status {self.deployment.name}` has the numbers."
            ),
        )

    def _estimated(self) -> Alert:
        """The whole interval is worse than the floor, or, without one, than what was held out by `min_loss_increase`.

        The margin, because an interval of 95% alone would be beyond what was held out once in forty batches.
        """
        performance, series = self.deployment.performance, self._series
        better, metric = higher_is_better(performance.metric), {"metric": performance.metric}
        best = series.highest(f"performance_estimated_{'high' if better else 'low'}", **metric)
        worse = self.deployment.detect.min_loss_increase
        held_out = f"{series.highest('performance_held_out', **metric)} * {1 - worse if better else 1 + worse:g}"
        limit = held_out if performance.floor is None else f"{performance.floor:g}"
        return Alert(
            name="EstimatedPerformanceDegraded",
            expr=f"{best} {'<' if better else '>'} {limit}",
            severity=Severity.WARNING,
            keep=self.config.keep,
            summary=f"{self.deployment.name}: the model may have got worse",
            description=(
                f"Estimated before labels came, {performance.metric} of the last batch is at best "
                '{{ printf "%.3f" $value }}.'
            ),
        )

    def _budget(self) -> Iterator[Alert]:
        """More than twice what was promised, and three besides: by chance once in thousands of weeks."""
        for channel in Channel:
            of = {"channel": channel.value}
            alarms = self._series.rise("alarms_total", _BUDGET_WINDOW, **of)
            judged = self._series.rise("judged_batches_total", _BUDGET_WINDOW, **of)
            promised = self._series.highest("promised_batches_per_alarm", **of)
            yield Alert(
                name="AlarmBudgetExceeded",
                expr=f"{alarms} > 3 + 2 * {judged} / {promised}",
                severity=Severity.INFO,
                labels=of,
                summary=f"{self.deployment.name}: more alarms on {channel.value} than promised",
                description=(
                    '{{ printf "%.0f" $value }} alarms within a week; '
                    f"false alarms were promised to come {self.deployment.detect.false_alarms}."
                ),
            )


_STANDS = "It stands until it is acknowledged or another version is the champion."
_OF_ITSELF = "It ends with the first batches that are in line again."
