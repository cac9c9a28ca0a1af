from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.domain.verdict import Channel, Verdict
from monitor.domain.watch.channel_watch import ChannelWatch
from monitor.domain.watch.plan import Plan
from monitor.domain.watch.prior_streams import PriorStreams
from monitor.domain.watch.rule import FalseAlarmRate, WatchRule
from monitor.stats.label_shift import bbse

START = datetime(2024, 1, 1, tzinfo=UTC)
RATE = FalseAlarmRate(count=1, batches=365)
RULE = WatchRule(false_alarms=RATE, incidents=RATE)


def confusion_of(prior, right):
    """Joint shares of a model that is right with this probability, and wrong evenly."""
    k = len(prior)
    given_label = np.full((k, k), (1 - right) / (k - 1))
    np.fill_diagonal(given_label, right)
    return given_label * np.array(prior)


def play(prior, after, batches, *, right=0.8, warm=40, seed=1):
    """Verdicts on batches of 500 labels with these shares, confused by the model, after `warm` of the first."""
    rng = np.random.default_rng(seed)
    names = tuple("abc"[: len(prior)])
    confusion = confusion_of(prior, right)
    given_label = confusion / confusion.sum(axis=0)
    streams = PriorStreams(confusion, names, 2000)
    watch = ChannelWatch(Channel.LABELS, Plan.of(streams.set, RULE))

    def seen(t, shares):
        return streams.observe(rng.multinomial(500, given_label @ np.array(shares)), START + timedelta(days=t))

    watch.warm_up(seen(t, prior) for t in range(warm))
    return [watch.update(seen(warm + t, after if t >= batches else prior)) for t in range(batches + 15)]


@pytest.mark.parametrize(("prior", "after"), [((0.7, 0.3), (0.5, 0.5)), ((0.5, 0.3, 0.2), (0.3, 0.3, 0.4))])
def test_a_shift_of_the_prior_is_found_with_its_size_though_the_model_confuses_classes(prior, after):
    verdicts = play(prior, after, 100)
    assert {v.verdict for v in verdicts[:100]} == {Verdict.OK}
    assert verdicts[-1].verdict is Verdict.DRIFT
    (column,) = verdicts[-1].columns
    at = "abc".index(column.measure.removeprefix("prior:"))
    assert column.name == "label"
    assert column.low < after[at] - prior[at] < column.high  # of the labels, not the smaller one of the predictions


def test_it_is_black_box_shift_estimation_before_clipping():
    rng = np.random.default_rng(3)
    confusion = rng.dirichlet(np.ones(9) * 3).reshape(3, 3) + np.eye(3)
    confusion /= confusion.sum()
    predicted = rng.multinomial(5000, confusion @ np.array([0.8, 1.1, 1.2]) / (confusion @ [0.8, 1.1, 1.2]).sum())
    estimate = bbse(confusion, predicted, 4000)
    seen = PriorStreams(confusion, ("a", "b", "c"), 4000).observe(predicted, None)
    share = seen.values + confusion.sum(axis=0)
    assert (share > 0).all()  # so that clipping has changed nothing
    np.testing.assert_allclose(share / share.sum(), estimate.share, atol=1e-12)


def test_the_reference_itself_is_no_shift_and_the_variance_is_that_of_one_row():
    confusion = confusion_of((0.6, 0.4), 0.9)
    streams = PriorStreams(confusion, ("a", "b"), 1000)
    exact = np.rint(confusion.sum(axis=1) * 1000).astype(int)
    np.testing.assert_allclose(streams.observe(exact, None).values, 0.0, atol=1e-12)
    rng = np.random.default_rng(5)
    drawn = [streams.observe(rng.multinomial(400, confusion.sum(axis=1)), None).values[0] for _ in range(4000)]
    assert np.var(drawn) * 400 == pytest.approx(streams.set.streams[0].variance, rel=0.08)


@pytest.mark.parametrize(
    "confusion",
    [np.array([[0.5, 0.5], [0.0, 0.0]]), np.array([[0.4, 0.4], [0.1, 0.1]]), np.array([[1.0, 0.0], [0.0, 0.0]])],
)
def test_without_a_way_to_tell_there_are_no_streams(confusion):
    streams = PriorStreams(confusion, ("a", "b"), 100)
    assert streams.set.streams == ()
    assert streams.observe(np.array([3, 4]), None).values.size == 0


def test_a_batch_without_rows_says_nothing():
    streams = PriorStreams(confusion_of((0.7, 0.3), 0.8), ("a", "b"), 100)
    assert np.isnan(streams.observe(np.array([0, 0]), None).values).all()
