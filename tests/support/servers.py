"""Real servers on free ports of this machine, each ended by its own handle: Prometheus, Alertmanager, a webhook."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from monitor.adapters.prometheus_rules.document import rules_document, rules_text
from monitor.config.reading import load_deployments, load_settings
from tests.support.project import Project
from tests.support.running import until

HOST = "127.0.0.1"
SHIPPED = Path(__file__).parents[2] / "config"


def free_address() -> str:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return f"{HOST}:{free.getsockname()[1]}"


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def answers(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Prometheus:
    address: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        asked = urllib.parse.urlencode({"query": expression})
        body = json.loads(get(f"http://{self.address}/api/v1/query?{asked}"))
        result: list[dict[str, Any]] = body["data"]["result"]
        return result


@contextmanager
def prometheus_of(
    program: Path, folder: Path, target: str, *, rules: Path | None = None, alertmanager: str | None = None
) -> Iterator[Prometheus]:
    """With the shipped configuration, at intervals of a second, scraping `target` (host:port)."""
    config = yaml.safe_load((SHIPPED / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(rules)] if rules else []
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager] if alertmanager else []}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    address = free_address()
    arguments = (
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
        "--rules.alert.resend-delay=1s",
    )
    with _running(program, arguments, folder / "prometheus.log", f"http://{address}/-/ready"):
        yield Prometheus(address)


@contextmanager
def alertmanager_of(program: Path, folder: Path, webhook: str) -> Iterator[str]:
    """With the shipped configuration, telling the webhook at once; yields its address."""
    config = yaml.safe_load((SHIPPED / "alertmanager" / "alertmanager.yml").read_text())
    config["templates"] = [str(SHIPPED / "alertmanager" / "templates" / "*.tmpl")]
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
    config["receivers"] = [
        {"name": receiver["name"], "webhook_configs": [{"url": f"{webhook}/{receiver['name']}"}]}
        for receiver in config["receivers"]
    ]
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    address = free_address()
    arguments = (
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    )
    with _running(program, arguments, folder / "alertmanager.log", f"http://{address}/-/ready"):
        yield address


def write_rules(project: Project, folder: Path) -> Path:
    """What `monitor rules` writes for a project."""
    file = folder / "rules.yaml"
    document = rules_document(load_settings(project.config).alerts, load_deployments(project.config))
    file.write_text(rules_text(document))
    return file


def post_alerts(alertmanager: str, *alerts: Mapping[str, str]) -> None:
    """Raise alerts with these labels, as Prometheus would."""
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    request = urllib.request.Request(f"http://{alertmanager}/api/v2/alerts", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30):
        pass


@dataclass(slots=True)
class Webhook:
    """Keeps what it is posted, in order."""

    url: str = ""
    payloads: list[dict[str, Any]] = field(default_factory=list)

    def alerts(self, name: str, status: str) -> list[dict[str, Any]]:
        """Every alert of this name that was told with this status, with the receiver's name in it."""
        return [
            {**alert, "receiver": payload["receiver"]}
            for payload in list(self.payloads)
            for alert in payload["alerts"]
            if alert["labels"]["alertname"] == name and alert["status"] == status
        ]


@contextmanager
def webhook() -> Iterator[Webhook]:
    kept = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.payloads.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error for every request."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        kept.url = f"http://{HOST}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _running(program: Path, arguments: tuple[str, ...], log: Path, ready: str) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen([str(program), *arguments], stdout=out, stderr=out)
    try:
        until(lambda: process.poll() is not None or answers(ready))
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait()
