"""The container files: small, without privileges, with time to stop, few published ports."""

import json
import re
import shutil
import subprocess
from functools import cache

import pytest
import yaml

from shared.processes import GUARDED, SECRETS_OF
from shared.setting_types import QUEUES
from shared.settings import Settings
from shared.settings_documents import compose_environment
from tests.conventions.tracked import ROOT

DOCKERFILES = ("Dockerfile.api", "Dockerfile.worker")
OURS = ("api", "worker", "notifier", "upkeep", "flower")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OVERLAY = yaml.safe_load((ROOT / "docker-compose.dev.yml").read_text())
EXTERNAL_REDIS = "docker-compose.external-redis.yml"
SERVICES = COMPOSE["services"]
STRANGERS = {name: OVERLAY["services"][name] for name in ("sandbox", "receiver")}


@cache
def compose_command():
    """Return the command of the Compose on this machine, or None."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            answer = subprocess.run([*command, "version"], capture_output=True, check=False)
            if answer.returncode == 0:
                return command
    return None


def instructions(name):
    """Return a Dockerfile's instructions, with joined lines and without comments."""
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def last_stage(name):
    lines = instructions(name)
    start = max(index for index, line in enumerate(lines) if line.startswith("FROM "))
    return lines[start:]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_is_built_from_known_parts_only(name):
    text = (ROOT / name).read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.13-slim"}
    assert set(re.findall(r"--from=(\S+)", text)) <= stages
    assert "# syntax" not in text
    assert "@sha256" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_holds_its_own_packages_and_shared_and_nothing_else(name):
    own = name.removeprefix("Dockerfile.")
    copied = {
        source
        for line in last_stage(name)
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    }
    beside = {"worker": {"billing", "bin/python", "cli", "doctor"}, "api": {"console/page"}}
    assert copied == {"bin/in-container", "shared", own} | beside[own]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_change_of_code_reinstalls_nothing(name):
    before_install = instructions(name)[
        : [" install " in i for i in instructions(name)].index(True)
    ]
    assert [line for line in before_install if line.startswith("COPY")] == [
        f"COPY requirements-{name.removeprefix('Dockerfile.')}.txt /"
    ]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_runs_unprivileged_directly_and_can_be_asked_how_it_is(name):
    stage = {line.split()[0]: line.split(maxsplit=1)[1] for line in last_stage(name)}
    assert stage["USER"] not in ("root", "0")
    assert json.loads(stage["ENTRYPOINT"]) == ["bin/in-container"]
    assert json.loads(stage["CMD"])[0] == "python"
    assert json.loads(stage["HEALTHCHECK"].partition("CMD ")[2])


def test_the_engine_is_sent_what_the_images_copy_and_nothing_else():
    inline = [STRANGERS[name]["build"]["dockerfile_inline"] for name in STRANGERS]
    texts = [*((ROOT / name).read_text() for name in DOCKERFILES), *inline]
    copied = {
        source
        for text in texts
        for sources in re.findall(r"^COPY ([^-].*) \S+$", text, re.MULTILINE)
        for source in sources.split()
    }
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied


@pytest.mark.parametrize("name", [*OURS, "billing"])
def test_a_service_runs_from_our_images_and_waits_for_redis(name):
    service = SERVICES[name]
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert service["depends_on"]["redis"]["condition"] == "service_healthy"
    assert service["environment"]["REDIS_URL"].startswith("${REDIS_URL:-redis://")


@pytest.mark.parametrize("service", [*SERVICES.items(), *STRANGERS.items()], ids=lambda s: s[0])
def test_every_container_is_locked_down_and_bounded(service):
    name, definition = service
    assert definition["cap_drop"] == ["ALL"], name
    assert definition["read_only"] is True
    assert definition["security_opt"] == ["no-new-privileges:true"]
    assert definition["pids_limit"] <= 500
    assert definition["mem_limit"]
    assert set(definition["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("process", OURS)
def test_a_container_is_given_its_own_secrets_and_no_other(process):
    variables = set(SERVICES[process]["environment"]) & GUARDED
    assert variables == SECRETS_OF[process]
    assert set(OVERLAY["services"][process]["environment"]) & GUARDED <= variables
    assert "env_file" not in SERVICES[process], "it would hand over the whole file"


def test_a_container_is_handed_every_setting_that_is_no_secret():
    settings = {name.upper() for name in Settings.model_fields}
    elsewhere = GUARDED | {"HOST", "PORT", "DATA_DIR", "WORKER_QUEUES", "HEARTBEAT_FILE"}
    for name in OURS:
        assert settings - elsewhere <= set(SERVICES[name]["environment"]), name
    assert compose_environment() in (ROOT / "docker-compose.yml").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_be_scaled_restarted_and_stopped_in_time(name):
    service = SERVICES[name]
    assert "container_name" not in service
    assert service["restart"] == ("no" if name == "billing" else "unless-stopped")
    assert service["stop_grace_period"].endswith("s")


def test_only_the_api_and_flower_are_published_and_on_loopback_unless_told_otherwise():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["${PUBLISH_ADDRESS:-127.0.0.1}:${PORT:-5001}:5001"],
        "flower": ["127.0.0.1:${FLOWER_PORT:-5555}:5555"],
    }


def test_no_command_of_compose_needs_a_variable():
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "docker-compose.dev.yml").read_text()
    assert not re.findall(r"\$\{\w+:?\?", text)
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {
        "flower",
        "billing",
    }


def test_with_a_redis_elsewhere_none_is_started_and_nothing_waits_for_one():
    # Not `deploy.replicas: 0`, for which Compose 5.3 fails: github.com/docker/compose/issues/13899.
    text = (ROOT / EXTERNAL_REDIS).read_text().replace("!reset null", "removed")
    overlay = yaml.safe_load(text)
    services = overlay["services"]
    assert services.pop("redis") == "removed"
    assert overlay["volumes"] == {"redis-data": "removed"}
    assert services == {
        name: {"depends_on": "removed"}
        for name, service in SERVICES.items()
        if "depends_on" in service
    }


@pytest.mark.skipif(not compose_command(), reason="Compose is not installed")
def test_compose_itself_reads_each_combination_of_the_files():
    def model(*files):
        options = [word for name in ("docker-compose.yml", *files) for word in ("-f", name)]
        command = [*compose_command(), *options, "--profile", "*", "config", "--format", "json"]
        process = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
        )
        assert process.returncode == 0, process.stderr
        return json.loads(process.stdout)["services"]

    assert set(model()) == set(SERVICES)
    assert set(model("docker-compose.dev.yml")) == set(SERVICES) | set(STRANGERS)
    elsewhere = model(EXTERNAL_REDIS)
    assert set(elsewhere) == set(SERVICES) - {"redis"}
    assert not [name for name, service in elsewhere.items() if service.get("depends_on")]


def test_every_value_of_an_environment_is_a_text():
    # podman-compose puts a number into a port's text, and ends with a traceback.
    for service in (*SERVICES.values(), *OVERLAY["services"].values()):
        assert all(isinstance(value, str) for value in service.get("environment", {}).values())


def test_redis_keeps_what_it_was_told():
    command = SERVICES["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--requirepass"] == SERVICES["redis"]["environment"]["REDISCLI_AUTH"]
    assert f":{options['--requirepass']}@redis:" in SERVICES["api"]["environment"]["REDIS_URL"]
    assert SERVICES["redis"]["user"] == "valkey"
    assert SERVICES["redis"]["volumes"] == ["redis-data:/data"]
    assert "redis-data" in COMPOSE["volumes"]


def test_every_health_check_is_in_the_image_or_decided_in_the_file():
    for name in set(SERVICES) - {"api", "worker", "notifier"}:
        assert SERVICES[name]["healthcheck"].get("test") or name == "billing", name


def test_every_queue_is_served_and_notifications_by_a_process_of_their_own():
    served = {
        name: service["environment"]["WORKER_QUEUES"].split(",")
        for name, service in SERVICES.items()
        if "WORKER_QUEUES" in service.get("environment", {})
    }
    procfile = (ROOT / "Procfile").read_text()
    on_one_machine = dict(re.findall(r"^(\w+): env WORKER_QUEUES=(\S+) ", procfile, re.MULTILINE))
    assert {name: queues.split(",") for name, queues in on_one_machine.items()} == served
    assert served["notifier"] == ["notifications"]
    assert sorted(q for queues in served.values() for q in queues) == sorted(QUEUES)


def test_the_files_name_settings_that_exist():
    names = {name.upper() for name in Settings.model_fields}
    names |= {"FLOWER_BASIC_AUTH", "BILLING_URL"}  # of Flower and of ./billing
    for service in (*(SERVICES[name] for name in OURS), *(OVERLAY["services"][n] for n in OURS)):
        assert set(service["environment"]) <= names


def test_the_overlay_is_offline_and_both_its_ends_know_the_same_secrets():
    sandbox, receiver = OVERLAY["services"]["sandbox"], OVERLAY["services"]["receiver"]
    for name in OURS:
        own = OVERLAY["services"][name]["environment"]
        assert own["STRIPE_API_BASE"] == "http://sandbox:12111"
        assert own.get("STRIPE_SECRET_KEY", "sk_test_").startswith("sk_test_")
    services = OVERLAY["services"]
    secret = services["api"]["environment"]["STRIPE_WEBHOOK_SECRET"]
    assert secret == sandbox["environment"]["SANDBOX_WEBHOOK_SECRET"]
    signing = services["notifier"]["environment"]["EVENT_SERVICE_SECRET"]
    assert signing == receiver["environment"]["EVENT_SERVICE_SECRET"]
    for name, service in (("sandbox", sandbox), ("receiver", receiver)):
        assert service["environment"]["SANDBOX_ALLOWED_HOSTS"] == name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
