"""Loading code by path, and what counts as a prediction."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.adapters.model_code import check_scores, load_code, load_model
from monitor.errors import ModelError
from tests.adapters.model_sources import tiny


def test_code_is_loaded_by_path_and_known_by_its_hash(tmp_path):
    file = tmp_path / "any name.py"
    file.write_text(tiny())
    code = load_code(file)
    assert code.model.__name__ == "Tiny"
    assert code.hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not (tmp_path / "__pycache__").exists()


def test_dataclasses_in_model_code_work(tmp_path):
    file = tmp_path / "m.py"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass, field\n"
        "@dataclass(kw_only=True)\nclass P:\n    a: list[int] = field(default_factory=list)\n" + tiny()
    )
    assert load_code(file).model.__name__ == "Tiny"


def test_a_missing_file_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.py: model code cannot be read: No such file"):
        load_code(tmp_path / "gone.py")


def test_the_operators_trust_list_reaches_a_class_that_asks_for_it(tmp_path):
    file = tmp_path / "m.py"
    file.write_text(tiny().replace("class Tiny:", "class Tiny:\n    trust = ()\n", 1))
    (tmp_path / "answer.json").write_text("[1.0]")
    model = load_model(load_code(file), tmp_path, ["shop.Special"])
    assert model.trust == ("shop.Special",)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 5)), elements=st.floats(0.01, 1)))
def test_rows_that_sum_to_one_are_probabilities_and_others_are_not(raw):
    scores = raw / raw.sum(axis=1, keepdims=True)
    classes = [str(i) for i in range(scores.shape[1])]
    np.testing.assert_allclose(check_scores(scores.astype(np.float32), len(scores), classes), scores, atol=1e-6)
    with pytest.raises(ModelError, match="row 1 does not sum to 1"):
        check_scores(scores * 0.99, len(scores), classes)


def test_values_need_only_be_finite():
    np.testing.assert_array_equal(check_scores([-5, 7], 2, ()), [-5.0, 7.0])
    with pytest.raises(ModelError, match=r"row 2 is not finite: inf \(1 such rows\)"):
        check_scores([1.0, np.inf], 2, ())


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("high", "predict returned str, which is not an array of numbers"),
        ([0.5, 0.5], r"shape \(2,\), expected \(2, 2\)"),
        ([[0.5, 0.5]], r"shape \(1, 2\), expected \(2, 2\)"),
        ([[0.5, 0.5], [1.5, -0.5]], "row 2 is outside 0..1"),
        ([[0.5, 0.5], [np.nan, 0.5]], "row 2 is not finite"),
        ([[0.4, 0.4], [0.4, 0.4]], r"row 1 does not sum to 1: \[0.4 0.4\] \(2 such rows\)"),
    ],
)
def test_what_is_no_prediction_is_named_with_its_row(raw, message):
    with pytest.raises(ModelError, match=message):
        check_scores(raw, 2, ("a", "b"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "defines no class `Model`; end the file with `Model = YourClass`"),
        ("class Model:\n    def fit(self): ...", "class Model lacks predict, save, load"),
        ("import json\n1 / 0", r"m\.py, line 2, in <module>: ZeroDivisionError"),
    ],
)
def test_code_that_is_no_model(tmp_path, source, message):
    (tmp_path / "m.py").write_text(source)
    with pytest.raises(ModelError, match=message):
        load_code(tmp_path / "m.py")
