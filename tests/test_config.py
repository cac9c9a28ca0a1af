"""What a configuration file means. What is wrong with one is in `tests/app/test_bad_config.py`."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.deployment import ReportsConfig
from monitor.config.reading import load_deployment, load_settings
from monitor.config.values import parse_duration
from monitor.domain.schema import Kind, LabelKind
from monitor.domain.verdict import Channel
from monitor.errors import ConfigError
from tests.support.project import deployment


def load(folder, plain):
    file = folder / f"{plain['name']}.yaml"
    file.write_text(yaml.safe_dump(plain))
    return load_deployment(file)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        (" 500 ms ", timedelta(milliseconds=500)),
        ("2w", timedelta(days=14)),
    ],
)
def test_durations_carry_their_unit(text, span):
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["5", 5, "five minutes", "-1d", "1 d 2 h", None])
def test_a_duration_without_unit_is_not_guessed(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["a: 2026-99-99", "[" * 2000, "a: !!int x", "a: !!timestamp x", "a: &a [*a]", "{[a]: 1}"]
)
def test_what_yaml_stumbles_over_is_an_error_that_names_the_file(tmp_path, text):
    (tmp_path / "monitor.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"monitor\.yaml"):
        load_settings(tmp_path)


@given(st.data())
def test_a_broken_file_is_an_error_that_names_it(data):
    """A key or a piece of text goes, changes or comes in; what is not an error is a configuration."""
    plain = yaml.safe_dump(deployment())
    at = data.draw(st.integers(0, len(plain)))
    gone = data.draw(st.integers(0, 3))
    more = data.draw(
        st.sampled_from(["", "\t", "{", "]", ": ", "\n- ", "!!int ", "*a", "2026-99-99", "\x07", "null", "1"])
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tiny.yaml"
        file.write_text(plain[:at] + more + plain[at + gone :])
        try:
            assert load_deployment(file).name == "tiny"
        except ConfigError as exc:
            assert str(file) in str(exc)


def test_a_deployment_becomes_values_of_the_domain(tmp_path):
    config = load(tmp_path, deployment())
    schema = config.schema_value
    assert schema.features == {"a": Kind.NUMERIC, "b": Kind.NUMERIC, "colour": Kind.CATEGORICAL}
    assert schema.label.kind is LabelKind.BINARY
    assert config.labels.delay == timedelta(hours=1)
    assert config.detect.channels.of(Channel.PERFORMANCE) == "retrain"


def test_the_same_features_in_another_order_are_another_contract(tmp_path):
    plain = deployment()
    before = load(tmp_path, plain).schema_value.fingerprint
    plain["schema"]["features"] = dict(reversed(plain["schema"]["features"].items()))
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(plain, sort_keys=False))
    assert load_deployment(file).schema_value.fingerprint != before


def test_reports_have_a_short_form():
    assert ReportsConfig.model_validate("on_drift") == ReportsConfig(when="on_drift")


def test_relative_paths_start_from_the_folder_that_holds_the_configuration(tmp_path):
    (tmp_path / "config").mkdir()
    settings = load_settings(tmp_path / "config")
    assert settings.data_folder == tmp_path / "var"
    assert settings.store_url == f"sqlite:///{tmp_path / 'var' / 'monitor.db'}"
    assert settings.path("/absolute/file").as_posix() == "/absolute/file"


@pytest.mark.parametrize(
    ("detect", "said"),
    [
        ({"alpha": 0.01}, r"detect: `alpha` has no meaning for rule `budget`; set `rule` or leave it out"),
        ({"rule": "budget", "hold": "3 batches"}, r"detect: `hold` has no meaning for rule `budget`"),
        ({"rule": "per_batch", "season": "weekday"}, r"detect: `season` has no meaning for rule `per_batch`"),
        ({"rule": "per_batch", "false_alarms": "1 per year"}, r"detect: `false_alarms` has no meaning for rule"),
        ({"false_alarms": "once a year"}, r"detect\.false_alarms: .*'once a year'.*like `1 per year`"),
        ({"false_alarms": "0 per year"}, r"detect\.false_alarms: .*must be above zero"),
        ({"columns": {"aa*": {"watch": False}}}, r"detect\.columns: no feature matches 'aa\*'"),
        ({"columns": {"a": {"min_efect": 0.1}}}, r"min_efect"),
        ({"measures": ["ks", "kss"]}, r"detect\.measures: .*kss"),
        ({"incidents": 3}, r"detect\.incidents: .*'3'.*like `1 per year`"),
    ],
)
def test_a_key_of_the_other_rule_or_a_rate_that_is_none_is_refused_by_name(tmp_path, detect, said):
    with pytest.raises(ConfigError, match=said) as refused:
        load(tmp_path, {**deployment(), "detect": detect})
    assert str(tmp_path / "tiny.yaml") in str(refused.value)


@pytest.mark.parametrize("detect", [{"season": "weekday"}, {"rule": "per_batch", "alpha": 0.01, "min_effect": 0.1}])
def test_a_key_of_its_own_rule_is_taken(tmp_path, detect):
    assert load(tmp_path, {**deployment(), "detect": detect}).detect.model_dump(include=set(detect)) == detect


def test_candidates_are_known_by_name_or_are_ones_own(tmp_path):
    plain = {**deployment(), "retrain": {"candidates": ["replay", "models/selection.py:mine"]}}
    assert load(tmp_path, plain).retrain.candidates == ["replay", "models/selection.py:mine"]


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ({"retrain": {"candidates": ["recent"]}}, "unknown candidate 'recent'; did you mean 'recent_1x'?"),
        (
            {"retrain": {"candidates": ["models/selection.py"]}},
            "unknown candidate 'models/selection.py'; known are all",
        ),
        ({"retrain": {"candidates": ["all", "all"]}}, "candidate 'all' is named twice"),
        ({"gate": {"anchor": {"path": "a.parquet", "share": 0.1}}}, "gate.anchor: give either `path` or `share`"),
        ({"gate": {"anchor": {"share": 0.6}}}, r"gate.anchor.share: .* less than or equal to 0.5"),
    ],
)
def test_what_cannot_be_trained_or_held_to_is_an_error(tmp_path, section, why):
    with pytest.raises(ConfigError, match=why):
        load(tmp_path, {**deployment(), **section})
