from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.domain.watch.rule import ColumnRule, FalseAlarmRate, Mode, WatchRule
from monitor.domain.watch.season import Season
from monitor.errors import ConfigError

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "interval", "batches"),
    [
        ("1 per 365 batches", None, 365),
        ("2 per 100 batches", None, 50),
        ("1 per batch", None, 1),
        ("1 per year", DAY, 365.25),
        ("1 per year", timedelta(weeks=1), 365.25 / 7),
        ("2 per 6 months", DAY, 365.25 / 4),
        ("0.5 per 30 days", timedelta(hours=1), 1440),
    ],
)
def test_a_rate_is_a_number_of_batches(text, interval, batches):
    assert FalseAlarmRate.parse(text).batches_per_alarm(interval) == pytest.approx(batches)


@pytest.mark.parametrize(
    "text", ["", "often", "1 per", "per year", "0 per year", "1 per 0 batches", "-1 per year", "1 a day"]
)
def test_what_is_no_rate_is_refused_with_its_text(text):
    with pytest.raises(ConfigError, match="false alarms"):
        FalseAlarmRate.parse(text)


def test_a_rate_per_time_needs_the_interval():
    with pytest.raises(ConfigError, match="interval"):
        FalseAlarmRate.parse("1 per year").batches_per_alarm(None)


def test_more_than_one_alarm_per_batch_is_no_budget():
    with pytest.raises(ConfigError, match="no budget"):
        FalseAlarmRate.parse("1 per day").batches_per_alarm(timedelta(days=2))


def test_the_distance_averages_over_a_season_at_least():
    rate = FalseAlarmRate.parse("1 per year")
    windows = {s: WatchRule(false_alarms=rate, incidents=rate, season=s).window for s in Season}
    assert windows == {Season.NONE: 7, Season.WEEKDAY: 7, Season.HOUR: 24, Season.HOUR_OF_WEEK: 24}
    assert WatchRule(false_alarms=rate, incidents=rate, distance_batches=3).window == 3


def test_a_rule_survives_its_plain_form():
    rule = WatchRule(
        false_alarms=FalseAlarmRate.parse("1 per year"),
        incidents=FalseAlarmRate.parse("1 per 90 batches"),
        season=Season.HOUR,
        mode=Mode.STRICT,
        interval=timedelta(hours=1),
    )
    assert WatchRule.from_dict(rule.to_dict()) == rule


def test_the_last_pattern_that_says_something_counts():
    rule = WatchRule(
        false_alarms=FalseAlarmRate(count=1, batches=365),
        incidents=FalseAlarmRate(count=1, batches=365),
        columns=(
            ColumnRule(pattern="temp*", min_effect=0.1, max_distance=0.3),
            ColumnRule(pattern="temp_in", max_distance=0.2),
            ColumnRule(pattern="image", watch=False),
        ),
    )
    assert rule.limits("temp_out") == (0.1, 0.3)
    assert rule.limits("temp_in") == (0.1, 0.2)
    assert rule.limits("wind") == (0.03, 0.10)
    assert [rule.watches(name) for name in ("temp_in", "image", "image[pc1]", "images")] == [True, False, False, True]
    assert WatchRule.from_dict(rule.to_dict()) == rule
