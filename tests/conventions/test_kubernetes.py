"""The Kubernetes manifests: rendered, and checked by Kubernetes' schemas and our own rules."""

import json
import shutil
import subprocess
import zipfile
from functools import cache
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from shared.processes import GUARDED, SECRETS_OF
from shared.setting_types import QUEUES
from shared.settings import Settings
from tests.conventions.tracked import ROOT

FOLDERS = ("base", "example")
VERSIONS = ("v1.29", "v1.33", "v1.37")  # the oldest supported one, and later ones
OURS = ("api", "worker", "notifier", "upkeep", "flower")
pytestmark = pytest.mark.skipif(
    not (shutil.which("kustomize") or shutil.which("kubectl")),
    reason="neither kustomize nor kubectl is here to render with",
)


@cache
def rendered(folder):
    process = subprocess.run(
        ["bin/manifests", f"deploy/kubernetes/{folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return list(yaml.safe_load_all(process.stdout))


def of_kind(kind, folder="example"):
    return {
        item["metadata"]["name"].removeprefix("billing-"): item
        for item in rendered(folder)
        if item["kind"] == kind
    }


def pod(name):
    return of_kind("Deployment")[name]["spec"]["template"]["spec"]


def container(name):
    (only,) = pod(name)["containers"]
    return only


def environment(name):
    return {entry["name"]: entry for entry in container(name)["env"]}


@cache
def archive():
    process = subprocess.run(
        ["bin/manifests", "--schemas"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if process.returncode:
        pytest.skip(process.stderr)
    return zipfile.ZipFile(ROOT / process.stdout.strip())


@cache
def definitions(version):
    """Read the strict schemas of a version, which forbid unknown fields."""
    document = next(
        name
        for name in archive().namelist()
        if f"/{version}." in name and name.endswith("-strict/_definitions.json")
    )
    return json.loads(archive().read(document).replace(b"/api/_definitions.json#", b"#"))["$defs"]


def schema_of(item, version):
    group, _, api = item["apiVersion"].rpartition("/")
    target = {"group": group, "version": api, "kind": item["kind"]}
    schemas = definitions(version)
    name = next(
        name
        for name, schema in schemas.items()
        if target in schema.get("x-kubernetes-group-version-kind", [])
    )
    return {"$ref": f"#/$defs/{name}", "$defs": schemas}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_rendered_is_what_kubernetes_takes(folder, version):
    assert len(rendered(folder)) > 10
    for item in rendered(folder):
        errors = jsonschema_rs.validator_for(schema_of(item, version)).iter_errors(item)
        assert [f"{item['metadata']['name']}: {e.message}" for e in errors] == []


def test_the_schemas_would_find_a_misspelled_field():
    item = json.loads(json.dumps(of_kind("Deployment")["api"]))
    item["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    assert not jsonschema_rs.validator_for(schema_of(item, VERSIONS[0])).is_valid(item)


def test_every_process_is_deployed():
    assert set(of_kind("Deployment")) == set(OURS)
    assert set(of_kind("Deployment", "base")) == set(OURS) - {"flower"}


@pytest.mark.parametrize("name", OURS)
def test_a_process_is_given_its_own_secrets_and_no_other(name):
    variables = environment(name)
    assert set(variables) & GUARDED == SECRETS_OF[name]
    sources = {
        variable: entry["valueFrom"]["secretKeyRef"]
        for variable, entry in variables.items()
        if "valueFrom" in entry
    }
    assert set(sources) == SECRETS_OF[name] | {"REDIS_URL"}
    for variable, source in sources.items():
        owner = "redis" if variable == "REDIS_URL" else name
        assert (source["name"], source["key"]) == (f"billing-{owner}", variable)
    assert set(container(name)["envFrom"][0]) == {"configMapRef"}, "no secret comes whole"


def test_the_readme_makes_the_secrets_that_are_read():
    text = (ROOT / "deploy/kubernetes/README.md").read_text().replace("\\\n", " ")
    for name in OURS:
        for variable, entry in environment(name).items():
            source = entry.get("valueFrom", {}).get("secretKeyRef")
            if source:
                (line,) = [row for row in text.splitlines() if f"generic {source['name']} " in row]
                assert f"--from-literal={variable}=" in line


@pytest.mark.parametrize("name", OURS)
def test_a_process_is_locked_down_and_bounded(name):
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["automountServiceAccountToken"] is False
    assert pod(name)["enableServiceLinks"] is False
    security = container(name)["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container(name)["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", OURS)
def test_a_busy_minute_is_no_reason_for_a_restart(name):
    probe = container(name)["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 60
    assert probe["timeoutSeconds"] >= 5


def test_an_outage_behind_the_api_restarts_nothing_and_takes_it_out_of_the_service():
    assert container("api")["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container("api")["readinessProbe"]["httpGet"]["path"] == "/health/ready"


def test_the_health_checks_are_those_of_the_containers():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert (
        container("upkeep")["livenessProbe"]["exec"]["command"]
        == compose["upkeep"]["healthcheck"]["test"][1:]
    )
    for name in ("upkeep", "flower"):
        command = container(name)["command"]
        assert command == ["bin/in-container", *compose[name]["command"]]


def test_every_process_that_works_keeps_one_through_a_drain():
    budgets = of_kind("PodDisruptionBudget")
    assert set(budgets) == set(OURS) - {"flower"}
    scaled = of_kind("HorizontalPodAutoscaler")
    for name, budget in budgets.items():
        spec = of_kind("Deployment")[name]["spec"]
        least = scaled[name]["spec"]["minReplicas"] if name in scaled else spec["replicas"]
        assert budget["spec"]["maxUnavailable"] < least
        assert budget["spec"]["selector"] == spec["selector"]
        assert ("replicas" in spec) != (name in scaled), "one of them decides"


def test_workers_scale_by_the_age_of_their_own_work():
    for name, scaler in of_kind("HorizontalPodAutoscaler").items():
        kinds = {
            metric["external"]["metric"]["selector"]["matchLabels"]["kind"]
            for metric in scaler["spec"]["metrics"]
        }
        assert kinds <= set(environment(name)["WORKER_QUEUES"]["value"].split(","))
        for metric in scaler["spec"]["metrics"]:
            figure = metric["external"]["metric"]["name"]
            assert f'"{figure}"' in (ROOT / "api/measurements.py").read_text()


def test_every_queue_is_served_and_notifications_by_a_process_of_their_own():
    served = [environment(name)["WORKER_QUEUES"]["value"] for name in ("worker", "notifier")]
    assert served[1] == "notifications"
    assert sorted(",".join(served).split(",")) == sorted(QUEUES)


def test_the_files_name_settings_that_exist():
    names = {name.upper() for name in Settings.model_fields} | {"FLOWER_BASIC_AUTH"}
    for name in OURS:
        assert set(environment(name)) <= names
    for item in rendered("example"):
        if item["kind"] == "ConfigMap":
            assert set(item["data"]) <= names - GUARDED
            assert all(isinstance(value, str) for value in item["data"].values())


def test_every_file_is_used():
    for path in (ROOT / "deploy/kubernetes").glob("*/*.yaml"):
        kustomization = (path.parent / "kustomization.yaml").read_text()
        assert path.name == "kustomization.yaml" or path.name in kustomization, Path(path)
