"""The feeder as the demo runs it: a real process, its files, and what it does to the data."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from sklearn.neighbors import NearestCentroid

from monitor.demo.digits import Scanner, halves, scan
from monitor.demo.feeder import BATCH_ROWS, LABELS_LATE, Folder
from monitor.demo.feeding import Feeder
from monitor.demo.scenario import PHASES, USUAL, phase_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = timedelta(seconds=3)


@pytest.fixture(scope="module")
def fed(tmp_path_factory) -> Path:
    """What lies in the folder after all phases have begun."""
    path = tmp_path_factory.mktemp("demo")
    folder = Folder(path)
    folder.prepare(NOW)
    for k in range(PHASES[-1].first + 2):
        folder.release(folder.next_number, start=NOW + k * STEP, end=NOW + (k + 1) * STEP)
    return path


def read(path: Path, kind: str) -> dict[str, dict[str, list]]:
    return {file.stem: pq.read_table(file).to_pydict() for file in sorted((path / kind).glob("*.parquet"))}


def digits_of(path: Path, numbers: range) -> list[str]:
    labels = read(path, "labels")
    return [digit for k in numbers for digit in labels[f"batch-{k:04d}"]["digit"]]


def test_no_row_is_released_twice_and_times_go_on(fed):
    batches = list(read(fed, "incoming").values())
    ids = [row for batch in batches for row in batch["id"]]
    assert len(set(ids)) == len(ids) == BATCH_ROWS * len(batches)
    times = [at for batch in batches for at in batch["scanned_at"]]
    assert times == sorted(times)
    assert all("digit" not in batch for batch in batches)


def test_labels_come_two_batches_late_and_are_those_of_the_rows(tmp_path):
    folder = Folder(tmp_path)
    folder.prepare(NOW)
    for k in range(1, 6):
        folder.release(k, start=NOW, end=NOW + STEP)
        assert len(read(tmp_path, "labels")) == max(0, k - LABELS_LATE)
    for name, labels in read(tmp_path, "labels").items():
        assert labels["id"] == read(tmp_path, "incoming")[name]["id"]


def test_the_labels_are_right(fed):
    """A nearest-centroid classifier, fitted on the training file, agrees with labels that come by another way."""
    training = pq.read_table(fed / "training.parquet").to_pydict()
    classifier = NearestCentroid().fit(pixels(training["image"]), training["digit"])

    def accuracy(numbers: range) -> float:
        batches = read(fed, "incoming")
        images = [image for k in numbers for image in batches[f"batch-{k:04d}"]["image"]]
        return float(np.mean(classifier.predict(pixels(images)) == digits_of(fed, numbers)))

    clean, damaged = accuracy(range(1, PHASES[1].first)), accuracy(range(PHASES[2].first, PHASES[2].first + 1))
    assert clean > 0.8  # 0.1 by chance; 0.85 to 0.9 is known of this classifier on these digits
    assert damaged < clean - 0.15  # the damage is one that matters


def test_class_shares_move_as_announced(fed):
    clean = digits_of(fed, range(1, PHASES[1].first))
    moved = digits_of(fed, range(PHASES[1].first, PHASES[2].first))
    for digits, share in ((clean, USUAL[7]), (moved, 0.34)):
        n, seen = len(digits), sum(digit == "7" for digit in digits)
        assert abs(seen - n * share) < 4 * (n * share * (1 - share)) ** 0.5


def test_images_for_batches_are_not_those_for_training():
    training, batches = halves(np.random.default_rng(3))
    assert len(training.labels) + len(batches.labels) == 1797
    both = {image.tobytes() for image in training.images} & {image.tobytes() for image in batches.images}
    assert not both


def test_no_two_scans_of_an_image_are_equal():
    training, _ = halves(np.random.default_rng(3))
    scans = scan(np.repeat(training.images[:1], 50, axis=0), Scanner(), np.random.default_rng(1))
    assert len(set(scans)) == 50
    assert {len(image) for image in scans} == {64}


def test_a_second_start_goes_on_and_touches_nothing_that_was_released(tmp_path):
    Folder(tmp_path).prepare(NOW)
    with feeding(tmp_path) as feeder:
        announced = [feeder.stdout.readline().strip() for _ in PHASES]
    assert announced == [phase.announcement for phase in PHASES]
    before = fingerprints(tmp_path)

    with feeding(tmp_path) as feeder:
        number = Folder(tmp_path).next_number
        feeder.stdout.readline()
    assert phase_of(number) is PHASES[-1]
    after = fingerprints(tmp_path)
    assert len(after) > len(before)
    assert {name: after[name] for name in before} == before


def test_ctrl_c_is_for_the_demo_alone(tmp_path):
    """Also while the feeder still imports."""
    Folder(tmp_path).prepare(NOW)
    demo = play(tmp_path, start_new_session=True)
    assert demo.stdout.readline() == "started\n"
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.stdout.readline().strip() == PHASES[0].announcement
    assert demo.stdout.readline().strip() == PHASES[1].announcement
    demo.communicate()
    assert demo.returncode == 0


def test_the_feeder_ends_when_the_demo_is_killed(tmp_path):
    Folder(tmp_path).prepare(NOW)
    demo = play(tmp_path)
    demo.stdout.readline()
    (feeder,) = psutil.Process(demo.pid).children()
    demo.kill()
    demo.communicate()
    psutil.wait_procs([feeder], timeout=60)
    assert not feeder.is_running() or feeder.status() == psutil.STATUS_ZOMBIE


def test_a_feeder_that_dies_is_told(tmp_path):
    lines: list[str] = []
    (tmp_path / "incoming").write_text("not a folder")
    with Feeder(tmp_path, every_seconds=0.01, say=lines.append) as feeder:
        feeder.start()
        feeder.wait()
    assert lines[-1].startswith("ended with status 3")


_DEMO = """
import signal
import sys
from pathlib import Path
from monitor.demo.feeding import Feeder
signal.signal(signal.SIGINT, lambda *_: None)  # children do not inherit it, as they would inherit SIG_IGN
with Feeder(Path(sys.argv[1]), every_seconds=0.05, say=lambda line: print(line, flush=True)) as feeder:
    feeder.start()
    print("started", flush=True)
    sys.stdin.read()
"""


def play(path: Path, *, start_new_session: bool = False) -> subprocess.Popen[str]:
    """What the demo does with a feeder, in a process of its own, until its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", _DEMO, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
    )


@contextmanager
def feeding(path: Path):
    """A feeder in a hurry; it ends well when its standard input is closed."""
    command = [sys.executable, "-m", "monitor.demo.feeder", str(path), "--every", "0.01"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as feeder:
        yield feeder
        feeder.stdin.close()
        assert feeder.wait(60) == 0


def fingerprints(path: Path) -> dict[str, str]:
    files = sorted(path.rglob("*.parquet"))
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def pixels(images: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(images), np.uint8).reshape(len(images), 64).astype(float)
