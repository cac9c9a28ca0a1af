"""APScheduler 3.x: wakes the passes up. Everything that follows from event time is not its business."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from monitor.config.sources import ScheduleConfig
from monitor.errors import ConfigError

_GRACE = timedelta(hours=1)  # a wake-up that comes late is still made, once: a pass takes all that waits

_MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
_MORE_THAN_A_WEEK = timedelta(days=8)
_WAKE_UPS = 30


class WakeUps:
    """One job per deployment: missed wake-ups are merged into one, and a pass never runs beside itself."""

    def __init__(self, workers: int) -> None:
        # It warns at every wake-up that finds its pass still at work, which is what a long pass looks like.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(workers)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": int(_GRACE.total_seconds())},
        )

    def add(self, name: str, schedule: ScheduleConfig, job: Callable[[], None]) -> None:
        """Wake `job` up now and then by `schedule`, instead of one that has this name.

        Raises ConfigError for a cron line that cannot be read.
        """
        trigger, now = trigger_of(schedule), datetime.now(UTC)
        self._scheduler.add_job(job, trigger, id=name, name=name, next_run_time=now, replace_existing=True)

    def remove(self, name: str) -> None:
        self._scheduler.remove_job(name)

    def at_once(self, name: str) -> None:
        """Bring the next wake-up of `name` forward to now."""
        self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def start(self) -> None:
        self._scheduler.start()

    @property
    def running(self) -> bool:
        return bool(self._scheduler.running)

    def next_wake_up(self, name: str) -> datetime | None:
        job = self._scheduler.get_job(name)
        return job.next_run_time if job else None

    def stop(self) -> None:
        """No more wake-ups; passes at work are not waited for."""
        self._scheduler.shutdown(wait=False)


@lru_cache
def longest_pause(schedule: ScheduleConfig) -> timedelta:
    """The longest time between two wake-ups: of a week at least, and of thirty wake-ups. Raises ConfigError."""
    trigger = trigger_of(schedule)
    if isinstance(trigger, IntervalTrigger):
        return timedelta(seconds=trigger.interval_length)
    fired = [trigger.get_next_fire_time(None, _MONDAY)]
    while fired[-1] is not None and (len(fired) < _WAKE_UPS or fired[-1] - _MONDAY < _MORE_THAN_A_WEEK):
        fired.append(trigger.get_next_fire_time(fired[-1], fired[-1]))
    if fired[-1] is None:
        raise ConfigError(f"schedule: {schedule.cron!r} never comes")
    moments = [at.timestamp() for at in fired]
    return timedelta(seconds=max(later - earlier for earlier, later in pairwise(moments)))


def trigger_of(schedule: ScheduleConfig) -> BaseTrigger:
    try:
        zone = ZoneInfo(schedule.timezone)
        if schedule.cron is not None:
            return CronTrigger.from_crontab(schedule.cron, timezone=zone)
        every = schedule.every or timedelta(minutes=5)
        return IntervalTrigger(seconds=max(every.total_seconds(), 0.1), timezone=zone)
    except (ValueError, LookupError) as exc:
        raise ConfigError(f"schedule: {exc}") from exc
