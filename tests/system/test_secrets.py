"""Passwords and tokens: a daemon that uses them, fails with them and is asked with them shows them nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from sqlalchemy import make_url

from monitor.web.tokens import hash_token
from tests.support.postgresql import new_database
from tests.support.project import Project
from tests.support.running import Running

STORE_PASSWORD, SOURCE_PASSWORD = "canary-of-the-store", "canary of/the:source"
TOKEN, WRONG_TOKEN = "canary-token-that-is-known", "canary-token-that-is-not"
SECRETS = (STORE_PASSWORD, SOURCE_PASSWORD, "canary%20of%2Fthe%3Asource", TOKEN, WRONG_TOKEN, hash_token(TOKEN))
SQL = {"source": "sql", "query": "SELECT 1 WHERE :start < :end", "window": "1h", "since": "2026-01-05T00:00:00Z"}


@pytest.fixture
def project(postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The store is a server that asks for no password and is given one; the labels' database is not there."""
    for name in ("STORE_PASSWORD", "SOURCE_PASSWORD"):
        monkeypatch.setenv(name, globals()[name])
    url = new_database(postgresql, "secrets").replace("monitor@", "monitor:${STORE_PASSWORD}@")
    project = Project.create(tmp_path / "project", changes={"reports": {"when": "always"}, "retrain": {"mode": "off"}})
    file = project.config / "deployments" / "tiny.yaml"
    labels = {**SQL, "url": "postgresql://monitor:${SOURCE_PASSWORD}@127.0.0.1:1/shop", "delay": "1h"}
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "labels": labels}))
    configure(project, url)
    project.add_batch(labels=False)
    return project


def configure(project: Project, store: str) -> None:
    tokens = [{"name": "caller", "role": "operate", "sha256": hash_token(TOKEN)}]
    plain = {"http": {"bind": "127.0.0.1:0", "tokens": tokens}, "log": {"format": "json", "level": "debug"}}
    (project.config / "monitor.yaml").write_text(yaml.safe_dump({**plain, "store": store}))


def pages(url: str) -> str:
    """Everything that can be read, and what is said to those who may not."""
    found = [httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {WRONG_TOKEN}"}).text]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
        described = client.get("/api/v1/openapi.json").json()["paths"]
        looks = ["/metrics", *(path for path, ways in described.items() if "get" in ways)]
        acts = [path for path, ways in described.items() if "post" in ways]
        found += [client.get(path.format(name="tiny", batch="batch_000", version=1)).text for path in looks]
        found += [client.post(path.format(name="tiny", batch="batch_000"), json={}).text for path in acts]
    return "\n".join(found)


def test_no_secret_is_shown(project: Project):
    daemon = Running(project)
    url = str(daemon.wait_for("started")["address"])
    daemon.wait_for("pass_failed", 2)
    daemon.wait_for("report_written")
    shown = pages(url)
    assert daemon.stop() == 0
    assert "monitor_" in shown
    assert "${SOURCE_PASSWORD}" in shown, "the journal names the database"
    store = yaml.safe_load((project.config / "monitor.yaml").read_text())["store"]
    configure(project, "postgresql://monitor:${STORE_PASSWORD}@127.0.0.1:1/nowhere")
    shown += said(project, "once", code=3)
    configure(project, "postgresql://monitor:${STORE_PASSWORD}@127.0.0.1:port/nowhere")
    shown += said(project, "status", code=2)
    configure(project, store)
    shown += said(project, "status", "--json", code=0)
    files = [file for file in project.folder.rglob("*") if file.is_file() and project.config not in file.parents]
    assert {".html", ".log"} <= {file.suffix for file in files}
    for secret in SECRETS:
        assert secret not in shown
        for file in files:
            assert secret.encode() not in file.read_bytes(), file
        assert secret not in rows(store), "the database"


def said(project: Project, *command: str, code: int) -> str:
    call = [sys.executable, "-m", "monitor", "-c", str(project.config), *command]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def rows(store: str) -> str:
    """All that the store's database holds."""
    url = make_url(store.replace("${STORE_PASSWORD}", os.environ["STORE_PASSWORD"]))
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as server:
        tables = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return "".join(str(server.execute(f'SELECT * FROM "{name}"').fetchall()) for (name,) in tables)
