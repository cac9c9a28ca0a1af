"""The models that come with the project: laws they share, then what each must be good at. One process, torch once."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from monitor.adapters.model_code import load_code, load_model, predict
from monitor.domain.model import TrainingData
from monitor.domain.schema import Label, Schema
from monitor.errors import ArtefactError

FOLDER = Path(__file__).parents[2] / "models"
CODE = {path.stem: load_code(path) for path in sorted(FOLDER.glob("*.py"))}
TABULAR = ["gradient_boosting", "tabular_network"]
QUICK = {
    "gradient_boosting": {"max_iter": 30},
    "tabular_network": {"epochs": 15, "hidden": [16]},
    "image_network": {"epochs": 3},
}
KINDS = {"a": "numeric", "b": "numeric", "empty": "numeric", "same": "numeric", "level": "categorical", "v": "vector"}


def table(rows: int, *, seed: int = 1) -> pd.DataFrame:
    """Numbers with gaps, a column that is missing throughout, a constant, levels with gaps, and vectors."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    vectors = rng.normal(size=(rows, 2)).astype(np.float32)
    a[::7] = np.nan
    return pd.DataFrame(
        {
            "a": a,
            "b": 1e4 * b,
            "empty": np.full(rows, np.nan),
            "same": np.full(rows, 0.1),
            "level": pd.Categorical.from_codes(rng.integers(-1, 3, rows), ["low", "mid", "high"]),
            "v": pd.Series(list(vectors)),
        }
    )


def truth(frame: pd.DataFrame) -> np.ndarray:
    """What is to be learnt: a sum of a number in a large unit and the effect of a level."""
    effect = frame["level"].astype(object).map({"low": -1.0, "mid": 0.0, "high": 1.0}).fillna(0.0).to_numpy(float)
    return frame["b"].to_numpy() / 1e4 + effect


def data_of(frame: pd.DataFrame, kind: str, weights=None) -> TrainingData:
    value = truth(frame)
    classes = {"binary": ("no", "yes"), "multiclass": ("x", "y", "z"), "regression": ()}[kind]
    target = np.digitize(value, np.quantile(value, np.arange(1, len(classes)) / len(classes))) if classes else value
    schema = Schema(features=KINDS, label=Label("label", kind))
    return TrainingData(features=frame, target=target, classes=classes, schema=schema, weights=weights)


def fit(name: str, data: TrainingData, *, seed: int = 0, init=None, heard=None, **config):
    def progress(share, word):
        if heard is not None:
            heard.append(share)

    config = {**QUICK[name], **config}
    return CODE[name].model.fit(data, init=init, config=config, rng=np.random.default_rng(seed), progress=progress)


def digits() -> tuple[pd.DataFrame, np.ndarray]:
    bunch = load_digits()
    images = (bunch.data / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    return pd.DataFrame({"image": pd.Series(list(images[order]))}), bunch.target[order]


def image_data(frame: pd.DataFrame, target: np.ndarray, weights=None) -> TrainingData:
    schema = Schema(features={"image": "image"}, label=Label("digit", "multiclass"))
    classes = tuple(str(i) for i in range(10))
    return TrainingData(features=frame, target=target, classes=classes, schema=schema, weights=weights)


def any_data(name: str, weights=None) -> TrainingData:
    if name == "image_network":
        frame, target = digits()
        return image_data(frame[:200], target[:200], weights)
    return data_of(table(200), "binary", weights)


@pytest.mark.parametrize("name", sorted(CODE))
def test_it_can_be_read_in_one_sitting(name, project):
    page = (project / "docs/how-to/own-model.md").read_text()
    (promised,) = re.findall(r"complete examples of (\d+) lines or less", page)
    assert len(CODE[name].path.read_text().splitlines()) <= int(promised) <= 165


@pytest.mark.parametrize("name", sorted(CODE))
def test_a_saved_model_predicts_the_same_numbers_and_is_no_pickle(name, tmp_path):
    data = any_data(name)
    model = fit(name, data)
    model.save(tmp_path)
    again = load_model(CODE[name], tmp_path, ())
    np.testing.assert_array_equal(again.predict(data.features), model.predict(data.features))
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".skops"}


@pytest.mark.parametrize("name", sorted(CODE))
def test_the_generator_decides_everything(name):
    import torch

    data = any_data(name)
    torch.manual_seed(1)
    first = fit(name, data, seed=5).predict(data.features)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    np.testing.assert_array_equal(fit(name, data, seed=5).predict(data.features), first)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is left alone"


@pytest.mark.parametrize("name", ["image_network", "tabular_network"])
def test_another_seed_gives_another_network(name):
    data = any_data(name)
    assert (fit(name, data, seed=1).predict(data.features) != fit(name, data, seed=2).predict(data.features)).any()


@pytest.mark.parametrize("name", sorted(CODE))
def test_progress_rises_to_the_end(name):
    heard: list[float] = []
    fit(name, any_data(name), heard=heard)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


@pytest.mark.parametrize("name", sorted(CODE))
def test_rows_of_weight_zero_teach_nothing(name):
    """Half of the rows carry wrong labels and no weight: the model must not follow them."""
    data = any_data(name)
    n = len(data.target)
    wrong = np.arange(n) % 2 == 1
    target = np.where(wrong, (data.target + 1) % len(data.classes), data.target)
    config = {"epochs": 30, "learning_rate": 0.01} if name != "gradient_boosting" else {"min_samples_leaf": 5}
    poisoned = {
        "features": data.features, "target": target, "classes": data.classes, "schema": data.schema,
    }  # fmt: skip
    model = fit(name, TrainingData(**poisoned, weights=np.where(wrong, 0.0, 1.0)), **config)
    right = (model.predict(data.features).argmax(axis=1) == data.target)[wrong].mean()
    assert right > 0.7


@pytest.mark.parametrize("name", sorted(CODE))
def test_an_unknown_parameter_is_named(name):
    with pytest.raises(TypeError, match="epochz"):
        fit(name, any_data(name), epochz=3)


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_tables_with_gaps_and_constants_are_learnt(name, kind):
    data = data_of(table(1500), kind)
    model = fit(name, data, **({"epochs": 40, "learning_rate": 0.01} if name == "tabular_network" else {}))
    fresh = data_of(table(500, seed=2), kind)
    scores = predict(model, fresh.features, fresh.classes)
    if kind == "regression":
        assert np.abs(scores - fresh.target).mean() < 0.3 * np.abs(fresh.target - np.median(fresh.target)).mean()
    else:
        assert (scores.argmax(axis=1) == fresh.target).mean() > 0.85


@pytest.mark.parametrize("name", TABULAR)
def test_what_training_never_saw_still_gets_a_prediction(name):
    """New levels, levels in another order, numbers far away, everything missing."""
    data = data_of(table(300), "binary")
    model = fit(name, data)
    frame = table(4, seed=3)
    frame["level"] = pd.Categorical(["new", "high", None, "low"], categories=["new", "high", "low"])
    frame.loc[0, ["a", "b", "empty"]] = [1e300, -1e300, 5.0]
    frame.loc[1, ["a", "b", "same"]] = np.nan
    assert predict(model, frame, data.classes).shape == (4, 2)


@pytest.mark.parametrize("name", TABULAR)
def test_the_order_of_a_columns_categories_does_not_matter(name):
    data = data_of(table(300), "binary")
    model = fit(name, data)
    other = data.features.assign(level=data.features["level"].cat.set_categories(["high", "spare", "low", "mid"]))
    np.testing.assert_array_equal(model.predict(other), model.predict(data.features))


@pytest.mark.parametrize("name", sorted(CODE))
def test_a_single_class_is_predicted_with_certainty(name, tmp_path):
    data = any_data(name)
    single = TrainingData(
        features=data.features, target=np.zeros(len(data.target), np.int64), classes=("only",), schema=data.schema
    )
    fit(name, single).save(tmp_path)
    scores = predict(load_model(CODE[name], tmp_path, ()), data.features, ("only",))
    np.testing.assert_array_equal(scores, 1.0)


@pytest.mark.parametrize("name", TABULAR)
def test_a_class_without_rows_gets_a_probability_all_the_same(name):
    data = data_of(table(200), "multiclass")
    without = TrainingData(
        features=data.features, target=np.where(data.target == 1, 0, data.target), classes=data.classes,
        schema=data.schema,
    )  # fmt: skip
    config = {"epochs": 40, "learning_rate": 0.01} if name == "tabular_network" else {}
    assert predict(fit(name, without, **config), data.features, data.classes)[:, 1].max() < 0.2


@pytest.mark.parametrize("name", ["image_network", "tabular_network"])
def test_a_warm_start_goes_on_from_the_champion_when_asked_for(name):
    data = any_data(name)
    learnt = fit(name, data, epochs=30, learning_rate=0.01)
    hardly = {"epochs": 1, "learning_rate": 1e-9}
    warm = fit(name, data, init=learnt, warm_start=True, **hardly).predict(data.features)
    cold = fit(name, data, init=learnt, **hardly).predict(data.features)
    accuracy = [(scores.argmax(axis=1) == data.target).mean() for scores in (warm, cold)]
    assert accuracy[0] > accuracy[1] + 0.2
    smaller = {"hidden": [3]} if name == "tabular_network" else {"channels": 2}
    fit(name, data, init=learnt, warm_start=True, **smaller, **hardly)  # other sizes: from scratch


def test_the_image_network_reads_handwritten_digits():
    frame, target = digits()
    model = fit("image_network", image_data(frame[:900], target[:900]), epochs=12)
    scores = predict(model, frame[900:], tuple(str(i) for i in range(10)))
    assert (scores.argmax(axis=1) == target[900:]).mean() >= 0.95


@pytest.mark.parametrize(
    ("features", "length", "message"),
    [
        ({"image": "image", "age": "numeric"}, 64, "takes one image feature, the schema has image, age"),
        ({"image": "numeric"}, 64, "takes one image feature"),
        ({"image": "image"}, 60, "60 values per row are not a square image"),
    ],
)
def test_the_image_network_says_what_it_cannot_take(features, length, message):
    cells = pd.Series([np.zeros(length, np.float32)] * 10)
    data = TrainingData(
        features=pd.DataFrame({"image": cells}), target=np.arange(10) % 2, classes=("0", "1"),
        schema=Schema(features=features),
    )  # fmt: skip
    with pytest.raises(ValueError, match=message):
        fit("image_network", data)


def test_a_type_that_nobody_trusts_is_not_loaded_until_the_operator_says_so(tmp_path):
    """The file is replaced by one that holds a type outside the lists of skops and of the model."""
    data = data_of(table(200), "binary")
    model = fit("gradient_boosting", data)
    model.save(tmp_path)
    skops.io.dump({"trees": RandomForestClassifier(2).fit([[0.0], [1.0]], [0, 1]), "f": skops.io.get_untrusted_types},
                  tmp_path / "trees.skops")  # fmt: skip
    code = CODE["gradient_boosting"]
    with pytest.raises(ArtefactError, match=r"trees\.skops: .*get_untrusted_types.*add them to `trust`"):
        load_model(code, tmp_path, ())
    named = skops.io.get_untrusted_types(file=tmp_path / "trees.skops")
    load_model(code, tmp_path, named)


@pytest.mark.real
@pytest.mark.parametrize("name", TABULAR)
def test_frozen_on_the_electricity_market_it_stays_useful(name, real_stream):
    """Trained on the first fifth of the stream, scored on the second: well above chance for both."""
    rows = pd.read_parquet(real_stream("elec2"))
    kinds = {"day": "categorical", **dict.fromkeys(["period", "nswprice", "nswdemand", "transfer"], "numeric")}
    frame = rows[list(kinds)].astype({"day": str}).astype({"day": "category"})
    target, fifth = (rows["class"] == "UP").to_numpy().astype(np.int64), len(rows) // 5
    schema = Schema(features=kinds, label=Label("class", "binary", "UP"))
    data = TrainingData(features=frame[:fifth], target=target[:fifth], classes=("DOWN", "UP"), schema=schema)
    model = fit(name, data, **({"hidden": [64, 32]} if name == "tabular_network" else {"max_iter": 100}))
    scores = model.predict(frame[fifth : 2 * fifth])[:, 1]
    assert roc_auc_score(target[fifth : 2 * fifth], scores) > 0.8
