from __future__ import annotations

import numpy as np
import pytest

from monitor import Schema
from monitor.domain.model_reference import ModelReference
from monitor.errors import ArtefactError, DataError
from monitor.stats.label_shift import bbse

SCHEMA = Schema(features={"x": "numeric"})
MEANS = np.array([0.0, 2.0, 4.0])


def scored(rng, n, prior):
    """Rows of three normal classes, their labels, and the exact posterior under an even prior."""
    labels = rng.choice(3, n, p=prior)
    x = rng.normal(MEANS[labels], 1.0)
    density = np.exp(-((x[:, None] - MEANS) ** 2) / 2)
    return {"x": x}, labels, density / density.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def reference():
    frame, labels, scores = scored(np.random.default_rng(0), 2000, [0.5, 0.3, 0.2])
    return ModelReference.fit(
        frame, SCHEMA, held_out_scores=scores, held_out_target=labels, classes=("a", "b", "c"), metric="accuracy"
    )


def test_it_survives_its_bytes(reference):
    again = ModelReference.from_bytes(reference.to_bytes())
    assert again.to_bytes() == reference.to_bytes()
    assert (again.classes, again.metric, again.metric_value) == (("a", "b", "c"), "accuracy", reference.metric_value)
    assert again.loss == reference.loss
    assert np.array_equal(again.confusion, reference.confusion)
    body = bytearray(reference.to_bytes())
    body[-50] ^= 1
    with pytest.raises(ArtefactError, match=r"reference\.safetensors"):
        ModelReference.from_bytes(bytes(body), file="reference.safetensors")


def test_label_shift_is_seen_and_sized(reference):
    _, labels, scores = scored(np.random.default_rng(1), 1500, [0.2, 0.3, 0.5])
    measures = reference.predictions.compare(reference.predictions.profile(reference.score_columns(scores)))
    assert {m.column for m in measures} == {"score:a", "score:b", "score:c", "predicted"}
    chi2 = measures.get("predicted", "chi2")
    assert chi2 is not None
    assert chi2.p_value < 1e-10
    got = bbse(reference.confusion, reference.predicted_counts(scores), reference.held_out_rows)
    truth = np.bincount(labels, minlength=3) / 1500
    assert got.share == pytest.approx(truth, abs=0.06)
    assert reference.prior == pytest.approx({"a": 0.5, "b": 0.3, "c": 0.2}, abs=0.04)


def test_two_classes_are_watched_by_one_score():
    rng = np.random.default_rng(2)
    p = rng.random(300)
    scores = np.column_stack([1 - p, p])
    reference = ModelReference.fit(
        {"x": p}, SCHEMA, held_out_scores=scores, held_out_target=(rng.random(300) < p).astype(int),
        classes=("DOWN", "UP"), metric="roc_auc", positive=1,
    )  # fmt: skip
    assert set(reference.score_columns(scores)) == {"score:UP", "predicted"}
    assert reference.score_columns(scores)["score:UP"] == pytest.approx(p)
    assert 0.5 < reference.metric_value < 1.0


def test_regression_has_values_and_no_confusion():
    rng = np.random.default_rng(3)
    values = rng.normal(size=200)
    reference = ModelReference.fit(
        {"x": values}, SCHEMA, held_out_scores=values, held_out_target=values + 0.5, classes=(), metric="mae"
    )
    assert reference.confusion is None
    assert reference.prior == {}
    assert reference.loss.mean == pytest.approx(0.5)
    assert reference.metric_value == pytest.approx(0.5)
    assert set(reference.score_columns(values)) == {"value"}
    assert ModelReference.from_bytes(reference.to_bytes()).confusion is None


def test_a_class_unknown_to_the_model_costs_the_clip_and_is_not_in_the_matrix():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    reference = ModelReference.fit(
        {"x": [1.0, 2.0, 3.0]}, SCHEMA, held_out_scores=scores, held_out_target=np.array([0, 1, -1]),
        classes=("a", "b"), metric="accuracy",
    )  # fmt: skip
    assert reference.metric_value == pytest.approx(2 / 3)
    assert reference.confusion.tolist() == [[0.5, 0.0], [0.0, 0.5]]
    assert reference.loss.mean == pytest.approx((-np.log(0.9) - np.log(0.8) - np.log(1e-7)) / 3)


def test_scores_of_another_shape_are_refused(reference):
    with pytest.raises(DataError, match=r"expected \(n, 3\)"):
        reference.score_columns(np.zeros((5, 2)))
    with pytest.raises(DataError, match="2 held-out scores, 3 targets"):
        ModelReference.fit(
            {"x": [1.0]}, SCHEMA, held_out_scores=np.zeros(2), held_out_target=np.zeros(3), classes=(), metric="mae"
        )
