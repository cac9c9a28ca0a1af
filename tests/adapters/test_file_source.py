"""Files at a source: real folders, fsspec's memory file system, another user's process."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import polars as pl
import pytest

from monitor.adapters.file_source import FileBatchSource, FileLabelSource, read_table
from monitor.config.sources import BatchesConfig, LabelsConfig
from monitor.domain.batch import Window
from monitor.domain.schema import Label, LabelKind, Schema
from monitor.errors import ConfigError, DataError, SourceError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
SCHEMA = Schema(id="id", timestamp="at", features={"x": "numeric"}, label=Label("y", LabelKind.BINARY))


def parquet(hours: list[float] = (0,)) -> bytes:
    file = io.BytesIO()
    at = [NOON + timedelta(hours=h) for h in hours]
    pl.DataFrame({"id": range(len(at)), "at": at, "x": [1.0] * len(at), "y": [1] * len(at)}).write_parquet(file)
    return file.getvalue()


def put(path: Path, content: bytes, modified: datetime = NOON) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified.timestamp(), modified.timestamp()))
    return path


def batches(project: Path, path: str = "in/*.parquet", schema: Schema = SCHEMA, **config: object) -> FileBatchSource:
    return FileBatchSource(path, BatchesConfig(path=path, **config), schema, project)


def test_deliveries_are_the_matching_files_sorted_with_what_is_known_of_them(tmp_path):
    put(tmp_path / "in/b.parquet", b"12345")
    put(tmp_path / "in/a.parquet", b"1", NOON + timedelta(hours=1))
    for name in (".hidden.parquet", "_temporary.parquet", "c.parquet.tmp", "d.csv"):
        put(tmp_path / "in" / name, b"")
    (tmp_path / "in/folder.parquet").mkdir()
    found = batches(tmp_path).deliveries()
    assert [(d.locator, d.name, d.size, d.modified) for d in found] == [
        ("in/a.parquet", "a", 1, NOON + timedelta(hours=1)),
        ("in/b.parquet", "b", 5, NOON),
    ]


def test_what_is_settled_is_passed_over(tmp_path):
    for name in ("a.parquet", "b.parquet", "c.parquet"):
        put(tmp_path / "in" / name, b"x")
    source = batches(tmp_path)
    first, second, third = source.deliveries()
    settled = {(first.locator, first.size, first.modified), (third.locator, third.size + 1, third.modified)}
    assert source.deliveries(lambda *file: file in settled) == [second, third]


@pytest.mark.parametrize(
    "name", [".git/a.csv", "x/_old/a.csv", "x/a.csv.TMP", "x/a.csv~", "a.csv.part", "x\n/.b/a.csv"]
)
def test_hidden_and_temporary_files_are_none_at_any_depth(name, tmp_path):
    for each in ("x/a_.csv", "x.tmp/a.csv", name):
        put(tmp_path / "in" / each, b"x")
    found = [d.locator for d in batches(tmp_path, "in/**").deliveries()]
    assert found == ["in/x.tmp/a.csv", "in/x/a_.csv"]


def test_what_was_hashed_is_what_is_judged_even_if_it_has_changed_since(tmp_path):
    file = put(tmp_path / "in/a.parquet", parquet([0, 1]))
    source = batches(tmp_path)
    (delivery,) = source.deliveries()
    hashed = source.fingerprint(delivery)
    file.write_bytes(parquet([0, 1, 2]))
    assert source.window(delivery) == Window(NOON, NOON + timedelta(hours=1))
    assert source.read(delivery, now=NOON + timedelta(days=1)).rows.num_rows == 2
    assert source.read(delivery, now=NOON + timedelta(days=1)).rows.num_rows == 3, "it is kept no longer"
    assert source.fingerprint(delivery) != hashed


def test_date_folders_are_walked_and_give_name_and_window(tmp_path):
    put(tmp_path / "in/2024/05/01/part.parquet", parquet([0, 13]))
    source = batches(tmp_path, "in/{year}/{month}/{day}/*.parquet")
    (delivery,) = source.deliveries()
    assert delivery.name == "2024/05/01/part"
    assert source.window(delivery) == Window(NOON - timedelta(hours=12), NOON + timedelta(hours=12))
    found = source.read(delivery, now=NOON + timedelta(days=30))
    assert found.rows.num_rows == 1
    assert found.rejected["reason"].to_pylist() == ["outside_window"]


def test_an_impossible_date_in_the_path_is_bad_data_and_does_not_stop_the_others(tmp_path):
    put(tmp_path / "in/2024-13.parquet", parquet())
    put(tmp_path / "in/2024-05.parquet", parquet())
    source = batches(tmp_path, "in/{year}-{month}.parquet")
    good, bad = source.deliveries()
    assert source.window(bad) == Window(NOON, NOON)
    with pytest.raises(DataError, match=r"in/2024-13\.parquet: the path holds an impossible date: month must be in"):
        source.read(bad, now=NOON)
    assert source.read(good, now=NOON).rows.num_rows == 1


def test_an_absolute_path_and_a_project_with_wildcards_in_its_name(tmp_path):
    project = tmp_path / "my [1] project*"
    put(project / "in/a.parquet", parquet())
    assert [d.locator for d in batches(project).deliveries()] == ["in/a.parquet"]
    plain = put(tmp_path / "in/a.parquet", parquet())
    (delivery,) = batches(project, f"{tmp_path}/in/*.parquet").deliveries()
    assert delivery.locator == str(plain)


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_urls(scheme, tmp_path):
    base = f"file://{tmp_path}/in" if scheme == "file" else f"memory://{tmp_path.name}/in"
    with fsspec.open(f"{base}/sub/a.parquet", "wb", auto_mkdir=True) as file:
        file.write(parquet([0, 1]))
    source = batches(Path("/nowhere"), f"{base}/*/*.parquet")
    (delivery,) = source.deliveries()
    assert (delivery.locator, delivery.name) == (f"{base}/sub/a.parquet", "sub/a")
    assert abs(datetime.now(UTC) - delivery.modified) < timedelta(hours=1)
    assert source.is_complete(delivery, now=delivery.modified + timedelta(minutes=1))
    assert len(source.fingerprint(delivery)) == 32
    assert source.window(delivery) == Window(NOON, NOON + timedelta(hours=1))
    assert source.read(delivery, now=NOON + timedelta(days=1)).rows.num_rows == 2
    with pytest.raises(SourceError, match=r"no such file or folder; create it, or correct `batches\.path`"):
        batches(Path("/nowhere"), f"{base}/gone/*.parquet").deliveries()
    assert read_table(f"{base}/sub/a.parquet", "training.path", SCHEMA, require_label=True).rows.num_rows == 2


def test_an_unknown_protocol_is_a_configuration_error():
    with pytest.raises(ConfigError, match=r"batches\.path: nosuch://x/\*\.csv: Protocol not known"):
        batches(Path("/nowhere"), "nosuch://x/*.csv")


def test_the_window_is_what_the_believable_timestamps_span(tmp_path):
    put(tmp_path / "in/a.parquet", parquet([3, 0, 24 * 365 * 200]))
    source = batches(tmp_path)
    (delivery,) = source.deliveries()
    assert source.window(delivery) == Window(NOON, NOON + timedelta(hours=3))
    rejected = source.read(delivery, now=datetime.now(UTC)).rejected
    assert rejected["reason"].to_pylist() == ["in_future"]


@pytest.mark.parametrize("content", [b"", b"PAR1 cut off", b"rubbish"])
def test_the_modification_time_stands_in_for_the_window_of_bad_content(content, tmp_path):
    put(tmp_path / "in/a.parquet", content)
    source = batches(tmp_path)
    (delivery,) = source.deliveries()
    assert source.window(delivery) == Window(NOON, NOON)
    with pytest.raises(DataError, match=r"in/a\.parquet: "):
        source.read(delivery, now=NOON)


def test_without_a_timestamp_column_the_modification_time_is_the_window(tmp_path):
    put(tmp_path / "in/a.parquet", parquet([5]))
    source = batches(tmp_path, schema=Schema(id="id", features={"x": "numeric"}))
    (delivery,) = source.deliveries()
    assert source.window(delivery) == Window(NOON, NOON)


def test_a_file_is_complete_once_it_has_settled(tmp_path):
    path = put(tmp_path / "in/a.parquet", parquet())
    source = batches(tmp_path, settle="5s")
    (delivery,) = source.deliveries()
    assert not source.is_complete(delivery, now=NOON + timedelta(seconds=4))
    assert source.is_complete(delivery, now=NOON + timedelta(seconds=5))
    put(path, parquet([0, 1]), NOON + timedelta(seconds=1))  # it grew since it was listed
    assert not source.is_complete(delivery, now=NOON + timedelta(hours=1))


def test_a_parquet_without_footer_is_waited_for_and_then_called_truncated(tmp_path):
    put(tmp_path / "in/a.parquet", parquet()[:-10])
    source = batches(tmp_path, settle="5s")
    (delivery,) = source.deliveries()
    assert not source.is_complete(delivery, now=NOON + timedelta(seconds=49))
    assert source.is_complete(delivery, now=NOON + timedelta(seconds=50))
    with pytest.raises(DataError, match=r"in/a\.parquet: truncated Parquet"):
        source.read(delivery, now=NOON)


def test_a_modification_time_far_in_the_future_does_not_hold_a_file_up_for_ever(tmp_path):
    put(tmp_path / "in/a.parquet", parquet(), NOON + timedelta(days=400))
    source = batches(tmp_path)
    (delivery,) = source.deliveries()
    assert source.is_complete(delivery, now=NOON)


def test_the_fingerprint_is_of_the_content(tmp_path):
    put(tmp_path / "in/a.parquet", parquet())
    put(tmp_path / "in/b.parquet", parquet(), NOON + timedelta(days=1))
    put(tmp_path / "in/c.parquet", parquet([1]))
    source = batches(tmp_path)
    a, b, c = (source.fingerprint(d) for d in source.deliveries())
    assert a == b != c


def test_a_folder_that_is_not_there_names_the_path_and_the_setting(tmp_path):
    with pytest.raises(
        SourceError, match=rf"{tmp_path}/in/: no such file or folder; create it, or correct `batches\.path`"
    ):
        batches(tmp_path).deliveries()
    put(tmp_path / "in", b"a file")
    with pytest.raises(SourceError, match=r"a file where a folder is expected"):
        batches(tmp_path).deliveries()


def test_links_are_no_deliveries_and_are_not_followed(tmp_path):
    put(tmp_path / "elsewhere/b.parquet", parquet())
    put(tmp_path / "in/one/a.parquet", parquet())
    (tmp_path / "in/two").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/one/c.parquet").symlink_to(tmp_path / "elsewhere/b.parquet")
    source = FileBatchSource(f"{tmp_path}/in/**/*.parquet", BatchesConfig(path="x"), SCHEMA, tmp_path)
    assert [d.name for d in source.deliveries()] == ["one/a"]


def test_an_empty_folder_has_no_deliveries(tmp_path):
    (tmp_path / "in").mkdir()
    assert batches(tmp_path).deliveries() == []


@pytest.mark.parametrize("call", ["fingerprint", "read", "is_complete"])
def test_a_file_that_vanished_is_a_source_error_naming_it(call, tmp_path):
    path = put(tmp_path / "in/a.parquet", parquet())
    source = batches(tmp_path)
    (delivery,) = source.deliveries()
    path.unlink()
    assert source.window(delivery) == Window(NOON, NOON)
    calls: dict[str, Callable[[], object]] = {
        "fingerprint": lambda: source.fingerprint(delivery),
        "read": lambda: source.read(delivery, now=NOON),
        "is_complete": lambda: source.is_complete(delivery, now=NOON + timedelta(days=1)),
    }
    with pytest.raises(SourceError, match=r"in/a\.parquet: no such file or folder"):
        calls[call]()


def test_labels_are_read_like_batches(tmp_path):
    put(tmp_path / "labels/l.csv", b"id,y\n1,1.0\n2,0\n2,1\n")
    source = FileLabelSource("labels/*.csv", LabelsConfig(path="labels/*.csv"), SCHEMA, tmp_path, tuple)
    (delivery,) = source.deliveries()
    assert delivery.name == "l"
    assert source.is_complete(delivery, now=NOON + timedelta(seconds=3))
    assert len(source.fingerprint(delivery)) == 32
    found = source.read(delivery, now=NOON)
    assert found.rows.to_pylist() == [{"id": "1", "label": "1", "available_at": None}]
    assert found.rejected["reason"].to_pylist() == ["contradictory_label"] * 2


def test_labels_need_an_id_and_a_label(tmp_path):
    with pytest.raises(ConfigError, match="needs `id` and `label`"):
        FileLabelSource("l/*.csv", LabelsConfig(path="l/*.csv"), Schema(features={"x": "numeric"}), tmp_path, tuple)


@pytest.mark.parametrize("key", ["training.path", "gate.anchor.path", "--held-out"])
def test_a_labelled_file_that_is_not_there_is_a_source_error_naming_the_setting(tmp_path, key):
    with pytest.raises(
        SourceError, match=rf"gone\.parquet: no such file or folder; create it, or correct `{re.escape(key)}`"
    ):
        read_table(tmp_path / "gone.parquet", key, SCHEMA, require_label=True)


_OTHER_USER = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from monitor.adapters.file_source import FileBatchSource
from monitor.config.sources import BatchesConfig
from monitor.domain.batch import Delivery
from monitor.domain.schema import Schema
from monitor.errors import SourceError
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
now = datetime.now(UTC)
source = FileBatchSource(
    sys.argv[2], BatchesConfig(path=sys.argv[2]), Schema(features={"x": "numeric"}), Path(sys.argv[1])
)
try:
    deliveries = source.deliveries()
    source.fingerprint(deliveries[0])
except SourceError as exc:
    print(exc)
"""


@pytest.mark.parametrize(
    ("closed", "pattern"), [("in", "in/*.csv"), ("in/sub", "in/*/*.csv"), ("in/sub/a.csv", "in/sub/*.csv")]
)
def test_no_permission_names_the_path_and_the_remedy(closed, pattern):
    with tempfile.TemporaryDirectory() as name:  # not `tmp_path`: another user may not go through its parents
        project = Path(name)
        put(project / "in/sub/a.csv", b"x\n1\n")
        project.chmod(0o755)
        (project / closed).chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", _OTHER_USER, name, pattern], capture_output=True, text=True, check=True
        )
        (project / closed).chmod(0o755)
    assert f"{name}/{closed}" in done.stdout
    assert "no permission; let the user that runs the monitor read it" in done.stdout
