"""What cannot be run in every test environment is held to schemas, to the programs that read it, and to the project.

No image is built and no cluster is asked here; the daemon itself is run by tests/system.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config.deployment import Deployment
from monitor.config.reading import load_deployment, load_settings

PROJECT = Path(__file__).parent.parent
DEPLOY = PROJECT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
EXPOSURE = 2.0  # of 10, by `systemd-analyze security`; without hardening a service has 9.6


def compose() -> dict[str, Any]:
    plain: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return plain


def manifests() -> dict[str, dict[str, Any]]:
    resources = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    found = [yaml.safe_load((KUBERNETES / name).read_text()) for name in resources]
    return {one["kind"]: one for one in found}


def test_the_compose_file_fits_its_schema():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_is_hardened_and_every_file_it_mounts_is_there():
    services = compose()["services"]
    assert set(services) == {"monitor", "prometheus", "alertmanager", "grafana"}
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        for volume in service["volumes"]:
            source, target, *mode = re.sub(r"\$\{.*?:-(\w+)\}", r"\1", volume).split(":")
            assert source in compose()["volumes"] or (DEPLOY / source).is_dir(), volume
            assert target.startswith("/")
            assert mode == ["ro"] or source in compose()["volumes"], volume


def test_the_stack_is_reached_from_this_machine_only():
    services = compose()["services"]
    ports = services["monitor"]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any("8000" in port for port in ports)
    assert all(services[name]["network_mode"] == "service:monitor" for name in services if name != "monitor")


def test_the_dashboards_are_mounted_where_the_provisioning_looks_for_them():
    (provider,) = yaml.safe_load((PROJECT / "config/grafana/provisioning/dashboards/driftloop.yaml").read_text())[
        "providers"
    ]
    assert (
        f"../config/grafana/dashboards:{provider['options']['path']}:ro" in compose()["services"]["grafana"]["volumes"]
    )
    source = (PROJECT / "config/grafana/provisioning/datasources/prometheus.yaml").read_text()
    wanted = set(re.findall(r"\$\{(\w+)\}", source))
    assert wanted <= set(compose()["services"]["grafana"]["environment"])


def test_the_image_is_not_root_has_a_health_check_and_copies_what_exists():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    last_stage = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER 10001" in last_stage
    assert any(line.startswith("HEALTHCHECK") for line in last_stage)
    let_in = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [path for line in lines if re.match("COPY (?!--from)", line) for path in line.split()[1:-1]]
    for path in copied:
        assert (PROJECT / path).exists(), path
        assert path.split("/")[0] in let_in, path


def test_the_linter_has_nothing_to_say_about_the_image():
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(linter), str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_accepts_the_unit_and_finds_it_little_exposed(systemd_analyze, tmp_path):
    unit = (DEPLOY / "driftloop.service").read_text()
    program = tmp_path / "monitor"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = tmp_path / "driftloop.service"
    here.write_text(unit.replace("/opt/driftloop/.venv/bin/monitor", str(program)))
    done = subprocess.run([str(systemd_analyze), "verify", str(here)], capture_output=True, text=True, check=False)
    assert "driftloop" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [str(systemd_analyze), "security", "--offline=true", f"--threshold={round(EXPOSURE * 10)}", str(here)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_pod_is_not_root_writes_only_its_volumes_and_is_probed():
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/-/healthy", "liveness": "/-/healthy", "readiness": "/-/ready"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    claim = manifests()["PersistentVolumeClaim"]["metadata"]["name"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": claim}} in pod["volumes"]


def test_the_service_leads_to_the_pod():
    service, deployment = manifests()["Service"]["spec"], manifests()["Deployment"]["spec"]
    assert service["selector"] == deployment["template"]["metadata"]["labels"]
    assert service["ports"][0]["targetPort"] == deployment["template"]["spec"]["containers"][0]["ports"][0]["name"]


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """The configuration folder as the pod sees it."""
    (tmp_path / "deployments").mkdir()
    (tmp_path / "monitor.yaml").write_text((KUBERNETES / "monitor.yaml").read_text())
    (tmp_path / "deployments" / "shop.yaml").write_text((KUBERNETES / "shop.yaml").read_text())
    return tmp_path


def test_the_configuration_in_the_cluster_is_valid_and_asks_for_tokens(mounted):
    settings = load_settings(mounted)
    assert settings.http.tokens
    shop = load_deployment(mounted / "deployments" / "shop.yaml")
    assert isinstance(shop, Deployment)
    assert (PROJECT / shop.model.code).is_file()
    grace = manifests()["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > settings.drain.total_seconds()
