"""What a failure looks like: one line on standard error, the documented exit code, no bare traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Monitor
from tests.support.project import Project
from tests.support.stored import open_store


def test_an_unknown_deployment_names_the_nearest(monitor: Monitor, fresh: Project):
    said = monitor("-c", fresh.config, "history", "tinny")
    assert (said.code, said.out) == (2, "")
    assert said.err == "monitor: no deployment 'tinny'; did you mean 'tiny'?\n"


def test_no_configuration_folder(monitor: Monitor, tmp_path: Path):
    said = monitor("-c", tmp_path / "nowhere", "status")
    assert said.code == 2
    assert f"{tmp_path / 'nowhere'}: no such configuration folder" in said.err
    assert "Traceback" not in said.err


def test_with_json_the_error_is_json_too_and_standard_output_stays_empty(monitor: Monitor, fresh: Project):
    said = monitor("-c", fresh.config, "--json", "retrain", "other")
    assert said.out == ""
    assert json.loads(said.err) == {
        "error": "no deployment 'other'; known are tiny",
        "kind": "ConfigError",
        "exit_code": 2,
    }


def test_an_unknown_key_names_path_and_nearest_key(monitor: Monitor, fresh: Project):
    fresh.configure({"retrain": {"cooldwon": "3 batches"}})
    said = monitor("-c", fresh.config, "status")
    assert said.code == 2
    assert "tiny.yaml: unknown key 'retrain.cooldwon'; did you mean 'cooldown'?" in said.err


def test_a_store_that_cannot_be_opened_is_exit_3(monitor: Monitor, fresh: Project):
    (fresh.folder / "var").mkdir()
    (fresh.folder / "var" / "monitor.db").mkdir()
    said = monitor("-c", fresh.config, "status")
    assert said.code == 3
    assert "monitor.db" in said.err


def test_model_code_that_raises_is_exit_4(monitor: Monitor, fresh: Project):
    code = fresh.folder / "models" / "model.py"
    code.write_text(
        code.read_text().replace("weights = np.zeros(", 'raise RuntimeError("no luck"); weights = np.zeros(')
    )
    fresh.add_batch()
    said = monitor("-c", fresh.config, "once")
    assert said.code == 4
    assert "no luck" in said.err


def test_two_deployments_and_no_name(monitor: Monitor, fresh: Project):
    text = (fresh.config / "deployments" / "tiny.yaml").read_text()
    (fresh.config / "deployments" / "other.yaml").write_text(text.replace("name: tiny", "name: other"))
    said = monitor("-c", fresh.config, "history")
    assert (said.code, said.err) == (2, "monitor: which deployment? known are other, tiny\n")


BROKEN = "other.yaml: unknown key 'retrain.cooldwon'; did you mean 'cooldown'?"


@pytest.fixture
def half_broken(fresh: Project) -> Project:
    """A deployment that was judged once, and another one whose file has an error since."""
    text = (fresh.config / "deployments" / "tiny.yaml").read_text()
    other = fresh.config / "deployments" / "other.yaml"
    other.write_text(text.replace("name: tiny", "name: other").replace("retrain:", "retrain:\n  cooldwon: 3 batches"))
    return fresh


NAMED = [
    (("status",), ()),
    (("history",), ()),
    (("journal",), ()),
    (("once",), ()),
    (("models", "list"), ()),
    (("models", "show"), ("1",)),
    (("models", "promote"), ("1",)),
    (("labels", "held"), ()),
    (("acknowledge",), ()),
    (("labels", "import"), ("labels/batch_000.parquet",)),
]


def test_a_broken_file_of_another_deployment_stops_nobody(monitor: Monitor, half_broken: Project):
    half_broken.add_batch()
    assert monitor("-c", half_broken.config, "once", "tiny").code == 0
    for command, more in NAMED:
        given = (half_broken.folder / word if "/" in word else word for word in more)
        said = monitor("-c", half_broken.config, *command, "tiny", *given)
        assert (said.code, "other" in said.err) == (0, False), (command, said.err)
    said = monitor("-c", half_broken.config, "labels", "release", "tiny", "batch_000")
    assert said.code == 2 and "are not held" in said.err
    said = monitor("-c", half_broken.config, "models", "rollback", "tiny")
    assert said.code == 2 and "no earlier champion" in said.err
    assert monitor("-c", half_broken.config, "retrain", "tiny", "--dry-run").code in (0, 5)
    said = monitor("-c", half_broken.config, "report", "tiny", "none")
    assert said.code == 2 and "no judged batch" in said.err


def test_without_a_name_every_error_of_every_file_is_told(monitor: Monitor, half_broken: Project):
    half_broken.configure({"batches": {"settle": "soon"}})
    for command in ("status", "once", "rules", "run"):
        said = monitor("-c", half_broken.config, command)
        assert said.code == 2
        assert BROKEN in said.err
        assert "tiny.yaml: batches.settle" in said.err
    said = monitor("-c", half_broken.config, "status", "other")
    assert said.code == 2
    assert BROKEN in said.err and "tiny" not in said.err


def test_a_defect_is_two_lines_and_the_traceback_is_in_the_data_folder(monitor: Monitor, fresh: Project):
    assert monitor("-c", fresh.config, "status").code == 0
    with open_store(fresh.folder / "var").transaction() as tx:
        tx.put_record("tiny", "batch_000", {"no": "release ever wrote this"})
    said = monitor("-c", fresh.config, "status")
    assert said.code == 70
    first, second = said.err.splitlines()
    assert first.startswith("monitor: unexpected KeyError: ")
    kept = Path(second.removeprefix("The traceback is in "))
    assert kept.parent == fresh.folder / "var"
    assert "Traceback" in kept.read_text()
    assert "Traceback" in monitor("-c", fresh.config, "status", "--debug").err


def test_usage_errors_are_exit_2(monitor: Monitor):
    assert monitor("history", "--last", "0").code == 2
    assert monitor("no-such-command").code == 2


@pytest.mark.parametrize("where", ["before", "after"])
def test_options_count_before_and_after_the_command(monitor: Monitor, fresh: Project, where: str):
    shared = ["-c", str(fresh.config), "--json"]
    said = monitor(*shared, "status") if where == "before" else monitor("status", *shared)
    assert said.code == 0
    assert said.json[0]["deployment"] == "tiny"


def test_the_configuration_is_found_by_flag_then_environment_then_folder(
    monitor: Monitor, fresh: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(fresh.folder)
    assert monitor("status", "--json").code == 0
    monkeypatch.setenv("MONITOR_CONFIG", str(tmp_path / "from_environment"))
    assert "from_environment" in monitor("status").err
    assert "from_flag" in monitor("status", "-c", tmp_path / "from_flag").err


@pytest.mark.parametrize("command", ["run", "once", "status"])
def test_without_a_deployment_there_is_nothing_to_do(monitor: Monitor, fresh: Project, command: str):
    (fresh.config / "deployments" / "tiny.yaml").unlink()
    said = monitor("-c", fresh.config, command)
    assert said.code == 2
    assert "no deployments are configured" in said.err
