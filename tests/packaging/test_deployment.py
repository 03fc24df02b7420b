"""docker/ and deploy/, as far as a machine without their engines can tell: linters, schemas, our own names in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eat_worker.cli import main
from eat_worker.settings import CHOICES, NAMES, load_settings

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
MANIFESTS = sorted((ROOT / "deploy" / "k8s").glob("*.yaml"))
UNIT = ROOT / "deploy" / "systemd" / "eat-worker@.service"
SCHEMA = Path(__file__).parent / "data" / "compose-spec.json"
OURS = ("migrate", "eat", "worker-cpu", "worker-gpu", "worker-vllm")
KNOWN_TO_KUBERNETES = ("Deployment", "PodDisruptionBudget", "Job", "NetworkPolicy")


def program(name: str) -> str:
    """The path of a checker. Skips where it is missing, fails in CI."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None and os.environ.get("CI") == "true" and name != "systemd-analyze":
        pytest.fail(f"{name} is not installed, and CI must check these files")
    if found is None:
        pytest.skip(f"{name} is not here")
    return found


def manifests() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def containers() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every container of ours in Kubernetes, with the pod around it."""
    for document in manifests():
        if document["kind"] in ("Deployment", "Job"):
            pod = document["spec"]["template"]["spec"]
            yield from ((document["kind"], container, pod) for container in pod["containers"])


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    """The variables that each file gives to `eat`."""
    image = dict(re.findall(r"^(?:ENV|   ) (\w+)=(\S+)", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE))
    yield "image", image
    for name in OURS:
        yield name, image | COMPOSE["services"][name]["environment"]
    for kind, container, _ in containers():
        yield kind, image | {item["name"]: item["value"] for item in container["env"]}
    yield "unit", dict(re.findall(r"^Environment=(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE))


def commands() -> Iterator[list[str]]:
    """The arguments with which each file calls `eat`."""
    yield json.loads(re.findall(r"^CMD (.+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)[-1])
    yield from (COMPOSE["services"][name]["command"] for name in OURS)
    yield from (container["args"] for _, container, _ in containers())
    yield from (
        line.split()[1:] for line in re.findall(r"^ExecStart=(.+)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([program("hadolint"), str(DOCKERFILE)], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_image_is_pinned_unprivileged_and_stopped_gently() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert re.search(r"^ARG BASE_IMAGE=\S+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.findall(r"^FROM (\S+) AS (\w+)(?:-\w+)?$", text, re.MULTILINE)[-2:] == [
        ("runtime", "gpu"),
        ("runtime", "cpu"),
    ]
    for line in ("USER 10001:10001", 'ENTRYPOINT ["eat"]', "STOPSIGNAL SIGTERM"):
        assert f"\n{line}\n" in text
    assert "<<" not in text
    assert "--mount" not in text


def test_compose_is_what_its_schema_says() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    broken = json.loads(json.dumps(COMPOSE))
    broken["services"]["redis"]["heathcheck"] = {}
    assert [error.message for error in validator.iter_errors(broken)] != []


@pytest.mark.parametrize("name", [*OURS, "postgres", "redis"])
def test_services_have_no_rights_and_no_published_ports(name: str) -> None:
    service = COMPOSE["services"][name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service
    assert service["networks"] == ["inside"]
    assert "privileged" not in service


def test_workers_wait_for_the_schema_and_are_given_time_to_drain() -> None:
    for name in ("worker-cpu", "worker-gpu", "worker-vllm"):
        service = COMPOSE["services"][name]
        assert service["stop_grace_period"] == "15m"
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    (device,) = COMPOSE["services"]["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert COMPOSE["services"]["worker-gpu"]["profiles"] == ["gpu"]
    assert "--max-lora-rank 64" in COMPOSE["services"]["vllm"]["command"][0]
    assert "--enable-prefix-caching" in COMPOSE["services"]["vllm"]["command"][0]


def test_every_secret_of_compose_is_a_file_that_the_script_makes(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run(["sh", str(ROOT / "docker" / "make_secrets.sh"), str(folder)], check=True)
    assert {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} == {
        file.name for file in folder.iterdir()
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    before = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert f":{before['postgres_password']}@postgres:5432/" in before["database_url"]
    assert f":{before['redis.conf'].split()[1]}@redis:6379/" in before["broker_url"]
    assert len({value.strip() for value in before.values()}) == 6
    subprocess.run(["sh", str(ROOT / "docker" / "make_secrets.sh"), str(folder)], check=True, capture_output=True)
    assert {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} == before


def test_kubernetes_accepts_every_manifest(tmp_path: Path) -> None:
    checker = program("kubernetes-validate")
    known = [document for document in manifests() if document["kind"] in KNOWN_TO_KUBERNETES]
    assert len(known) == 4
    good = tmp_path / "good.yaml"
    good.write_text(yaml.safe_dump_all(known))
    done = subprocess.run([checker, "--strict", "-k", "1.32", str(good)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    known[0]["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump_all(known))
    assert subprocess.run([checker, "--strict", "-k", "1.32", str(bad)], capture_output=True).returncode != 0


def test_pods_are_unprivileged_and_have_twenty_minutes_to_start() -> None:
    for kind, container, pod in containers():
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        if kind == "Deployment":
            probe = container["startupProbe"]
            assert probe["periodSeconds"] * probe["failureThreshold"] == 1200
            assert pod["terminationGracePeriodSeconds"] == 900


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    checker = program("systemd-analyze")
    unit = tmp_path / "eat-worker@0.service"
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run([checker, "verify", str(unit)], capture_output=True, text=True)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
    for line in ("KillMode=mixed", "TimeoutStopSec=900", "RestartPreventExitStatus=78"):
        assert f"\n{line}\n" in text


@pytest.mark.parametrize(("where", "environ"), list(environments()))
def test_every_variable_is_a_setting_with_a_value_it_can_have(
    where: str, environ: dict[str, str], tmp_path: Path
) -> None:
    ours = {name: value for name, value in environ.items() if name.startswith("EAT_")}
    assert ours
    assert {name.removeprefix("EAT_").lower() for name in ours} <= set(NAMES)
    urls = {"database_url": "postgresql://eat:p@h/eat?sslmode=verify-full", "broker_url": "rediss://:p@h:6379/0"}
    for name, url in urls.items():
        (tmp_path / name).write_text(url)
        if f"EAT_{name.upper()}_FILE" in ours:
            assert ours[f"EAT_{name.upper()}_FILE"].endswith(f"/{name}")
            ours[f"EAT_{name.upper()}_FILE"] = str(tmp_path / name)
    ours = {name: value.replace("%i", "3").replace("%S", "/s").replace("%d", "/d") for name, value in ours.items()}
    load_settings({}, directory=tmp_path, environ={"HOME": str(tmp_path), **ours})


@pytest.mark.parametrize("words", list(commands()))
def test_every_command_is_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    assert main([*words, "--no-such-option"]) == 2


def test_the_health_port_is_the_same_everywhere() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert "EAT_HEALTH_ADDRESS=0.0.0.0:9100\n" in text
    assert "EXPOSE 9100\n" in text
    assert "http://127.0.0.1:9100/livez" in text
    (port,) = next(container["ports"] for kind, container, _ in containers() if kind == "Deployment")
    assert port["containerPort"] == 9100


def test_engines_of_the_files_are_engines_of_the_program() -> None:
    named = {environ["EAT_ENGINE"] for _, environ in environments() if "EAT_ENGINE" in environ}
    assert named == {"qwen", "endpoint"}
    assert named <= set(CHOICES["engine"])


def test_the_query_of_the_autoscaler_is_the_one_that_is_documented() -> None:
    scaled = next(document for document in manifests() if document["kind"] == "ScaledObject")
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    told = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert " ".join(query.split()) in " ".join(told.split())
