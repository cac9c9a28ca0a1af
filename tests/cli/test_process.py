"""What only a real process shows: how it starts, what it serves, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Project

MONITOR = [sys.executable, "-c", "from monitor.cli.main import run; run()"]
HEAVY = {"torch", "evidently", "pandas", "sklearn", "polars", "pyarrow", "scipy", "sqlalchemy", "fastapi", "uvicorn"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models", "--help"], ["compare", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]):
    code = (
        "import json, sys\nfrom monitor.cli.main import main\n"
        f"code = main({arguments!r})\nprint(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    returned, modules = json.loads(done.stderr)
    assert returned == 0
    assert HEAVY & {name.split(".")[0] for name in modules} == set()


def test_the_version_is_the_distribution_s():
    from importlib.metadata import version

    done = subprocess.run([*MONITOR, "--version"], capture_output=True, check=True, text=True)
    assert done.stdout == f"monitor {version('driftloop')}\n"


@pytest.fixture
def daemon(fresh: Project) -> Iterator[subprocess.Popen[str]]:
    fresh.add_batch()
    process = start(fresh.config)
    yield process
    process.kill()
    process.communicate()


def start(config: Path, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*MONITOR, "-c", str(config), "run", *names], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(process: subprocess.Popen[str], event: str) -> dict[str, object]:
    """Read the log until the event comes; the process ending first fails the test."""
    assert process.stderr is not None
    read = []
    for line in process.stderr:
        read.append(line)
        found = json.loads(line)
        if found["event"] == event:
            return dict(found)
    pytest.fail(f"the daemon ended without {event}: {''.join(read)}")


def get(url: str, **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        body: str = answer.read().decode()
        return body


def test_the_daemon_serves_metrics_and_ends_with_the_signal(daemon: subprocess.Popen[str]):
    url = str(wait_for(daemon, "started")["address"])
    assert get(f"{url}/-/healthy") == "healthy\n"
    assert get(f"{url}/-/ready") == "ready\n"
    assert "monitor_up 1.0" in get(f"{url}/metrics")
    assert "# EOF" in get(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=60) == 0
    assert daemon.stdout is not None
    assert daemon.stdout.read() == ""


def test_it_runs_only_the_deployments_that_are_named(fresh: Project):
    tiny = (fresh.config / "deployments" / "tiny.yaml").read_text()
    for name in ("huge", "small"):
        (fresh.config / "deployments" / f"{name}.yaml").write_text(tiny.replace("name: tiny", f"name: {name}"))
    with start(fresh.config, "tiny", "small") as process:
        try:
            started = wait_for(process, "started")
            for _ in range(2):
                wait_for(process, "promoted")
            shown = get(f"{started['address']}/metrics")
        finally:
            process.kill()
    assert started["deployments"] == ["small", "tiny"]
    assert set(re.findall('monitor_model_info{[^}]*deployment="([a-z]+)"', shown)) == {"small", "tiny"}
    assert "huge" not in shown


def test_a_deployment_that_is_not_there_stops_the_start(fresh: Project):
    done = subprocess.run(
        [*MONITOR, "-c", str(fresh.config), "run", "huge"], capture_output=True, check=False, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "monitor: no deployment 'huge'; known are tiny\n"


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ([], "python -m monitor.demo"),
        (["CONFIG=mine/config"], 'monitor run -c "mine/config"'),
        (["CONFIG=mine/config", "DEPLOYMENT=rows"], 'monitor run rows -c "mine/config"'),
        (["DEPLOYMENT=rows"], "monitor run rows"),
    ],
)
def test_make_run_passes_on_what_it_is_told(project: Path, variables: list[str], command: str):
    done = subprocess.run(
        ["make", "--dry-run", "run", *variables], cwd=project, capture_output=True, check=True, text=True
    )
    assert " ".join(done.stdout.splitlines()[-1].split()) == f"exec .venv/bin/{command}"


@pytest.mark.parametrize(("bind", "message"), [("0.0.0.0:0", "monitor token new"), ("here", "not HOST:PORT")])
def test_an_address_that_must_not_be_served_stops_the_start(fresh: Project, bind: str, message: str):
    (fresh.config / "monitor.yaml").write_text(f"http: {{bind: '{bind}'}}\n")
    done = subprocess.run([*MONITOR, "-c", str(fresh.config), "run"], capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_taken_port_stops_the_start(fresh: Project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        (fresh.config / "monitor.yaml").write_text(f"http: {{bind: '{bind}'}}\n")
        done = subprocess.run([*MONITOR, "-c", str(fresh.config), "run"], capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert f"http.bind '{bind}': Address already in use" in done.stderr


def test_output_into_a_closed_pipe_is_no_defect(lived: Project):
    process = subprocess.Popen(
        [*MONITOR, "-c", str(lived.config), "history", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()
    assert b"unexpected" not in err
    assert b"Traceback" not in err


def test_no_progress_bar_where_no_terminal_is(fresh: Project):
    fresh.add_batch()
    done = subprocess.run([*MONITOR, "-c", str(fresh.config), "once"], capture_output=True, check=True, text=True)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == "1 batch judged, 0 with drift.\n"


def test_the_progress_bar_is_shown_on_a_terminal_and_taken_away_again(fresh: Project):
    fresh.add_batch()
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [*MONITOR, "-c", str(fresh.config), "once"], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 1 << 16):
                shown += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
        assert process.stdout is not None
        line = process.stdout.read().decode()
    assert b"training" in shown
    assert "batch_000" in line
    assert "\x1b" not in line
