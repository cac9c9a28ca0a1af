"""Scoring with real children: what they answer, how they fail, and that they never outlive the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from monitor.adapters.scoring_worker import ScoringWorker
from monitor.domain.schema import Label, Schema
from monitor.errors import ArtefactError, ModelError
from tests.adapters.model_sources import tiny, write_bundle

SCHEMA = Schema(
    features={"price": "numeric", "day": "categorical"}, id="id", label=Label("class", "binary", positive="b")
)
ROWS = pa.table(
    {
        "id": pa.array(["1", "2", "3"]),
        "price": pa.array([1.0, None, 3.0]),
        "day": pa.array(["mo", "tu", None]).dictionary_encode(),
    }
)


@pytest.fixture
def worker():
    made = ScoringWorker(timeout=timedelta(seconds=30), schema=SCHEMA)
    yield made
    made.close()


def score(worker: ScoringWorker, folder: Path, **misbehaviour: str) -> np.ndarray:
    return worker.score(write_bundle(folder, tiny(**misbehaviour)), ROWS)


def test_the_same_child_answers_every_call(worker, tmp_path):
    bundle = write_bundle(tmp_path / "v1", tiny(predict="scores[:, 0] = os.getpid() % 2 * 0; scores[:, 1] = 1"))
    first = worker.score(bundle, ROWS)
    pid = worker.pid
    again = worker.score(bundle, ROWS.slice(0, 2))
    assert worker.pid == pid
    np.testing.assert_array_equal(first, [[0, 1]] * 3)
    np.testing.assert_array_equal(again, [[0, 1]] * 2)


def test_the_model_sees_features_alone_in_the_documented_form(worker, tmp_path):
    check = "\n".join(
        [
            "assert list(frame) == ['price', 'day'], list(frame)",
            "assert str(frame.price.dtype) == 'float64' and np.isnan(frame.price[1])",
            "assert frame.day.astype(object).tolist()[:2] == ['mo', 'tu'] and frame.day.isna()[2]",
        ]
    )
    assert score(worker, tmp_path / "v1", predict=check).shape == (3, 2)


def test_a_new_bundle_is_loaded_by_the_same_child(worker, tmp_path):
    worker.score(write_bundle(tmp_path / "v1", tiny()), ROWS)
    old = worker.pid
    second = write_bundle(tmp_path / "v2", tiny(), answer="[1, 0]")
    np.testing.assert_array_equal(worker.score(second, ROWS), [[1, 0]] * 3)
    assert worker.pid == old


def test_no_rows_need_no_child(worker, tmp_path):
    assert worker.score(write_bundle(tmp_path / "v1", tiny()), ROWS.slice(0, 0)).shape == (0, 2)
    assert worker.pid is None


def test_regression_answers_one_value_per_row(tmp_path):
    schema = Schema(features=SCHEMA.features, label=Label("y", "regression"))
    worker = ScoringWorker(timeout=timedelta(seconds=30), schema=schema)
    try:
        bundle = write_bundle(tmp_path / "v1", tiny(), classes=(), answer="2.5")
        np.testing.assert_array_equal(worker.score(bundle, ROWS), [2.5, 2.5, 2.5])
    finally:
        worker.close()


def test_prints_and_reads_of_user_code_do_not_touch_the_protocol(worker, tmp_path):
    noise = "print('x' * 100_000)\nsys.stdout.flush()\nos.write(1, b'noise')\nassert sys.stdin.read() == ''"
    assert score(worker, tmp_path / "v1", predict=noise).shape == (3, 2)


def test_more_rows_than_a_pipe_holds(worker, tmp_path):
    many = pa.table({"price": np.arange(300_000.0), "day": pa.array(["mo"] * 300_000).dictionary_encode()})
    assert worker.score(write_bundle(tmp_path / "v1", tiny()), many).shape == (300_000, 2)


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        ("raise KeyError('colour')", r"code\.py, line \d+, in predict: KeyError: 'colour'[\s\S]*Traceback"),
        ("sys.exit(3)", r"line \d+, in predict: SystemExit: 3"),
        ("return scores[:2]", r"shape \(2, 2\), expected \(3, 2\)"),
        ("scores[1, 0] = np.nan", r"row 2 is not finite: \[ *nan"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"killed by SIGSEGV[\s\S]*line \d+ in predict"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("print('last words', file=sys.stderr)\nos._exit(7)", r"exit status 7[\s\S]*last words"),
    ],
)
def test_misbehaviour_is_a_model_error_that_says_what_and_where(worker, tmp_path, predict, message):
    with pytest.raises(ModelError, match=message) as caught:
        score(worker, tmp_path / "v1", predict=predict)
    assert "shop version 1, scoring" in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("predict", ["raise KeyError('colour')", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_after_an_error_the_next_call_has_a_fresh_child(worker, tmp_path, predict):
    with pytest.raises(ModelError):
        score(worker, tmp_path / "v1", predict=predict)
    assert worker.pid is None
    assert score(worker, tmp_path / "v2").shape == (3, 2)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", r"line 1, in <module>: ModuleNotFoundError"),
        ("def broken(:", "line 1: SyntaxError"),
    ],
)
def test_code_that_is_no_model(worker, tmp_path, source, message):
    with pytest.raises(ModelError, match=message):
        worker.score(write_bundle(tmp_path / "v1", source), ROWS)


def test_a_hung_model_is_ended_and_the_error_says_where_it_hung(tmp_path):
    worker = ScoringWorker(timeout=timedelta(seconds=10), schema=SCHEMA)
    try:
        with pytest.raises(ModelError, match=r"model\.timeout of 10 s[\s\S]*line \d+ in predict"):
            score(worker, tmp_path / "v1", predict="while True: pass")
        assert worker.pid is None
    finally:
        worker.close()


def test_a_hung_model_takes_its_own_children_along(tmp_path):
    started = tmp_path / "pid"
    worker = ScoringWorker(timeout=timedelta(seconds=10), schema=SCHEMA)
    start = (
        f"child = subprocess.Popen(['sleep', '600'])\nPath({str(started)!r}).write_text(str(child.pid))\nchild.wait()"
    )
    try:
        with pytest.raises(ModelError, match=r"model\.timeout"):
            score(worker, tmp_path / "v1", predict=start)
    finally:
        worker.close()
    assert_ends(int(started.read_text()))


def test_a_model_that_grows_too_large_is_ended(tmp_path):
    worker = ScoringWorker(timeout=timedelta(seconds=30), schema=SCHEMA, memory=400 * 2**20)
    try:
        with pytest.raises(ModelError, match=r"used \d+ MiB of memory, more than the memory limit of 400 MiB"):
            score(worker, tmp_path / "v1", predict="block = np.ones(2**27)\ntime.sleep(600)")
    finally:
        worker.close()


def test_a_changed_byte_is_found_before_the_model_is_loaded(worker, tmp_path):
    mark = tmp_path / "loaded"
    bundle = write_bundle(tmp_path / "v1", tiny(load=f"Path({str(mark)!r}).touch()"))
    (bundle.folder / "weights" / "answer.json").write_text("[0.26, 0.74]")
    with pytest.raises(ArtefactError, match=r"answer\.json: was changed after it was saved"):
        worker.score(bundle, ROWS)
    assert not mark.exists()


def test_close_ends_the_child(worker, tmp_path):
    score(worker, tmp_path / "v1")
    child = psutil.Process(worker.pid)
    worker.close()
    assert not child.is_running()


def test_a_child_killed_between_two_calls_is_replaced(worker, tmp_path):
    bundle = write_bundle(tmp_path / "v1", tiny())
    worker.score(bundle, ROWS)
    child = psutil.Process(worker.pid)
    child.kill()
    psutil.wait_procs([child], timeout=10)
    assert worker.score(bundle, ROWS).shape == (3, 2)


@pytest.mark.parametrize("stuck", [False, True], ids=["idle", "stuck in C"])
def test_the_child_ends_when_the_parent_is_killed(tmp_path, stuck):
    """`kill -9` of the parent while its child waits for work, and while it holds the interpreter inside C code."""
    mark = tmp_path / "in predict"
    forever = "import re; re.match('(a+)+$', 'a' * 60 + 'b')" if stuck else "pass"
    bundle = write_bundle(tmp_path / "v1", tiny(predict=f"Path({str(mark)!r}).touch()\n{forever}"))
    parent_source = textwrap.dedent(
        f"""
        import threading
        from datetime import timedelta
        from pathlib import Path
        from monitor.adapters.scoring_worker import ScoringWorker
        from monitor.app.ports import ModelBundle
        from tests.adapters import test_scoring_worker as here
        from tests.adapters.model_sources import manifest

        bundle = ModelBundle(folder=Path({str(bundle.folder)!r}), manifest=manifest())
        worker = ScoringWorker(timeout=timedelta(seconds=60), schema=here.SCHEMA)
        thread = threading.Thread(target=lambda: worker.score(bundle, here.ROWS))
        thread.start()
        {f"while not Path({str(mark)!r}).exists(): pass" if stuck else "thread.join()"}
        print(worker.pid, flush=True)
        threading.Event().wait()
        """
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", parent_source], stdout=subprocess.PIPE, cwd=root)
    try:
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    assert_ends(child)


def assert_ends(pid: int) -> None:
    """The process goes away within ten seconds; one that waits only for init to reap it is gone."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    try:
        process.wait(10)
    except psutil.TimeoutExpired:
        assert process.status() == psutil.STATUS_ZOMBIE
