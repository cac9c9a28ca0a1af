"""What a configuration file means. What is wrong with one is in `tests/app/test_bad_config.py`."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml

from monitor.config import ReportsConfig, load_deployment, load_settings, parse_duration
from monitor.domain.schema import Kind, LabelKind
from monitor.domain.verdict import Channel
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
