"""Every command in README and docs runs, here or in the named test.

A command that is in no list of this file fails the test, so that none is documented untried.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

from tests.documents import Command, blocks, fences, mentioned, no_commands, typed
from tests.e2e.running import Service, service
from tests.servers import ROOT, free_port, process, wait_until

# Commands by their beginning, with the test that runs or checks them, and a word in that test.
# Commands for Docker, a cluster or systemd are only checked there.
ELSEWHERE = (
    ("make run", "tests/e2e/test_installation.py", "run"),
    ("make demo", "tests/e2e/test_demo.py", "local.demo"),
    ("python app.py", "tests/e2e/running.py", "app.py"),
    ("pip install -r requirements.txt", "tests/e2e/test_installation.py", "requirements.txt"),
    ("docker-compose.yml", "tests/conventions/test_containers.py", "docker-compose.yml"),
    ("docker build", "tests/e2e/test_images.py", "Dockerfile"),
    ("docker run", "tests/e2e/test_images.py", "Dockerfile"),
    ("docker compose", "tests/conventions/test_containers.py", "docker-compose.yml"),
    ("docker buildx", "tests/conventions/test_supply_chain.py", "FROM"),
    ("FLOWER_BASIC_AUTH=user:password docker", "tests/conventions/test_containers.py", "flower"),
    ("kubectl", "tests/conventions/test_kubernetes.py", "kustomiz"),
    ("useradd", "tests/conventions/test_systemd.py", "README"),
    ("python3 -m venv /opt", "tests/conventions/test_systemd.py", "README"),
    ("/opt/billing", "tests/conventions/test_systemd.py", "README"),
    ("install -m 0644", "tests/conventions/test_systemd.py", "README"),
    ("systemctl", "tests/conventions/test_systemd.py", "README"),
    ("stripe listen", "tests/contract/test_listen.py", "listen"),
    ("stripe trigger", "tests/contract/test_trigger.py", "trigger"),
    ("bin/stripe-cli", "tests/e2e/test_readme_story.py", "Stripe's own command line"),
    ("bin/chaos", "tests/e2e/test_chaos.py", "chaos"),
    ("bin/slow", "tests/e2e/test_slowness.py", "slow"),
    ("bin/store-docs", "tests/conventions/test_store_schema.py", "store"),
    ("bin/notification-docs", "tests/conventions/test_notification_documents.py", "markdown"),
    ("bin/manifests", "tests/conventions/test_kubernetes.py", "bin/manifests"),
    ("bin/lint-console", "tests/conventions/test_console_files.py", "console"),
    ("redis-cli", "tests/e2e/test_documented_redis.py", "redis-cli"),
    ("nginx -s reload", "tests/e2e/test_proxy.py", "nginx"),
)
# Commands that no test runs, by their whole text, with the reason.
NOBODY = {
    "stripe login": "needs an account and a person at a browser",
    "git clone": "needs a server; every test runs in a clone",
    "py-spy dump --pid …": "a program for a worker that hangs, which is not installed with ours",
    "curl https://billing.example.com/health/ready": "a host of the reader",
    "stripe …": "a name alone",
    "stripe": "a name alone",
    "make": "a name alone",
    "./billing": "a name alone",
}
# The test, or CI's script, that runs what each target of make runs.
TARGETS = {
    "run": ("tests/e2e/running.py", "app.py"),
    "demo": ("tests/e2e/test_demo.py", "local.demo"),
    "test": (".ci/run", "make test\n"),
    "test-long": (".ci/run", "make test-long"),
    "lint": (".ci/run", "make lint"),
    "audit": (".ci/run", "make audit"),
    "bench": ("tests/e2e/test_benches.py", "bench"),
    "chaos": ("tests/e2e/test_chaos.py", "chaos"),
    "slow": ("tests/e2e/test_slowness.py", "slow"),
    "explore": ("tests/explore/test_explorer.py", "explore"),
    "mutants": ("tests/conventions/test_mutants.py", "mutants"),
    "contract": ("tests/contract/tools.py", "bin/contract"),
}
# Targets that run the whole suite, or longer; a person runs them.
BY_HAND = {"check", "test-all", "mutation", "sbom"}
# Indented lines that are no command: pictures, the map of the folders, a configuration file.
PICTURES = {
    "README.md": ("client ", "│ ", "Stripe ─", "└──", "operator ─", "refund jobs)"),
    "docs/going-live.md": ("appendonly ", "appendfsync ", "maxmemory-policy ", "maxmemory "),
}
FOLDER = re.compile(r"(app\.py|[a-z]+/) {2,}")
# The value that a person would insert for each placeholder.
PLACEHOLDERS = {"https://…/api/webhook": "https://b.example", "https://…": "https://b.example"}
URL = "https://b.example"
# Commands of `./billing` that do not exit with 0 on a service without problems.
ENDS = (
    ("dead-letters redrive", 4),  # there is none, and no confirmation
    ("refunds resolve ID", 2),  # and its exit status, as the text beside it says
    ("refunds resolve rr_", 1),  # the job is not dead
    ("refund-batch start", 1),  # lists the missing settings
    ("stripe register", 4),  # no confirmation
    ("refund-batch pause", 1),  # the batch has ended
    ("doctor", 1),  # warns of routes without keys
)
# The message of `./billing` for a wrong command line.
USAGE = 2
NAMES_ALONE = re.compile(r"\./billing [a-z-]+( [a-z-]+)?")


@cache
def everything() -> list[Command]:
    return [*typed(), *mentioned()]


def texts(beginning: str) -> list[str]:
    """List the different commands with this beginning."""
    return sorted({c.text for c in everything() if c.text.startswith(beginning)})


RUN_HERE = (
    "./billing ",
    "make ",
    "bin/",
    "openssl ",
    "echo ",
    "python -m ",
    "sed ",
)


def test_every_command_is_run_here_or_in_the_test_named() -> None:
    beginnings = [*RUN_HERE, *(beginning for beginning, _, _ in ELSEWHERE)]
    unknown = {
        (command.page, command.text)
        for command in everything()
        if not command.text.startswith(tuple(beginnings)) and command.text not in NOBODY
    }
    assert unknown == set()


def test_every_exception_is_still_documented() -> None:
    documented = {command.text for command in everything()}
    assert NOBODY.keys() <= documented


def test_no_indented_line_is_overlooked() -> None:
    """A program that nobody thought of is in no list, and nothing would run it."""
    lines = no_commands()
    overlooked = [
        line
        for line in lines
        if not line.text.startswith(PICTURES.get(line.page, ()) or "\0")
        and not FOLDER.match(line.text)
    ]
    assert overlooked == []
    pictures = {(page, start) for page, starts in PICTURES.items() for start in starts}
    stale = [
        (p, s) for p, s in pictures if not any(x.page == p and x.text.startswith(s) for x in lines)
    ]
    assert stale == []


def test_every_fence_has_a_language_that_is_tried() -> None:
    """Those of JSON, Python and Mermaid are no commands; the one without a name is a `.env`."""
    assert fences() == {"bash", "json", "python", "mermaid", ""}


def test_every_target_of_make_is_run_by_a_test_or_by_a_person() -> None:
    targets = {command.split()[1] for command in texts("make ")}
    assert targets == TARGETS.keys() | BY_HAND
    without = [
        name for name, (file, word) in TARGETS.items() if word not in (ROOT / file).read_text()
    ]
    assert without == []


@pytest.mark.parametrize(("beginning", "test", "word"), ELSEWHERE)
def test_the_test_named_is_there_and_is_about_it(beginning: str, test: str, word: str) -> None:
    assert word in (ROOT / test).read_text()
    assert any(c.text.startswith(beginning) for c in everything()), "no document names it any more"


@pytest.mark.parametrize("command", texts("make "))
def test_every_target_of_make_is_there(command: str) -> None:
    words = [word for word in command.split() if "=" in word or command.split().index(word) < 2]
    process = subprocess.run(
        ["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("command", texts("bin/"))
def test_every_script_is_there_with_what_it_is_given(command: str) -> None:
    script, *arguments = command.split()
    assert os.access(ROOT / script, os.X_OK)
    if script == "bin/bench":
        assert all((ROOT / "bench" / f"{name}.py").exists() for name in arguments)


def test_every_module_that_is_started_is_there() -> None:
    modules = [command.split()[2] for command in texts("python -m ")]
    assert modules
    assert [name for name in modules if find_spec(name) is None] == []


@pytest.mark.parametrize("command", [*texts("openssl "), *texts("echo "), *texts("bin/stripe-")])
def test_what_needs_no_service_runs_as_it_stands(command: str) -> None:
    if command.startswith("bin/stripe-cli"):
        pytest.skip("run by tests/e2e/test_readme_story.py")
    environment = os.environ | {"PYTHON": sys.executable}
    process = subprocess.run(
        ["bash", "-ec", command], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert (process.returncode, bool(process.stdout)) == (0, True)


WRITERS = {
    "bin/settings-docs": (".env.example", "README.md", "docker-compose.yml", "docs/processes.md"),
    "bin/store-docs": ("docs/store.md",),
    "bin/notification-docs": ("docs/notifications.md",),
    "bin/openapi": ("docs/api/openapi.json",),
}


@pytest.mark.nightly
@pytest.mark.parametrize("script", WRITERS)
def test_a_script_writes_the_documents_as_they_are(script: str) -> None:
    files = [ROOT / name for name in WRITERS[script]]
    before = [file.read_bytes() for file in files]
    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run([ROOT / script], cwd=ROOT, env=environment, check=True)
    assert [file.read_bytes() for file in files] == before
    assert script in texts("bin/"), "no document names it any more"


def test_the_base_image_is_pinned_by_its_digest(tmp_path: Path) -> None:
    (command,) = texts("sed ")
    for name in ("Dockerfile.api", "Dockerfile.worker"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
    for file in tmp_path.iterdir():
        lines = re.findall(r"^FROM python:.*", file.read_text(), re.MULTILINE)
        assert lines
        assert all("python:3.13-slim@sha256:…" in line for line in lines)


# Commands for a running service.


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Service:
    with service(tmp_path_factory.mktemp("service")) as service_run:
        yield service_run


@pytest.fixture(scope="module")
def names(running: Service) -> dict[str, str]:
    """Make one object of everything that the documents name; return each by its placeholder."""
    paid_payment = running.pay(
        "pm_card_visa", metadata={"event_id": "123", "user_id": "456"}
    ).json()
    payment = paid_payment["payment_intent_id"]
    running.notifications_of(payment, "payment.succeeded")
    refunded = requests.post(
        f"{running.url()}/api/refund/process",
        json={"payment_intent_id": payment, "amount": 300},
        headers={"Prefer": "wait=10"},
        timeout=20,
    ).json()
    event = requests.get(f"{running.url()}/ops/events", timeout=5).json()["data"][0]["id"]
    batch = requests.post(
        f"{running.url()}/api/refund/batches", json={"event_id": "123"}, timeout=20
    ).json()["batch_id"]
    address = f"{running.url()}/api/refund/batches/{batch}"
    state = lambda: requests.get(address, timeout=5).json()["state"]  # noqa: E731  # one use
    wait_until(lambda: state() == "completed", "the batch ends")
    return {
        "pi_…": payment,
        "evt_…": event,
        "rr_…": refunded["refund_request_id"],
        "re_…": refunded["refund_id"],
        "refund-batch": batch,
        "payment": payment,
        "refunds": refunded["refund_request_id"],
        "events": event,
        "dead-letters": event,
    }


def filled(command: str, names: dict[str, str]) -> list[str]:
    """Replace the placeholders."""
    for placeholder, value in (PLACEHOLDERS | names).items():
        if "…" in placeholder:
            command = command.replace(placeholder, value)
    words = shlex.split(command)[1:]
    subject = names.get(words[0], "")
    places = {"ID": subject, "ID…": subject, "URL": URL}
    return [places.get(word, word) for word in words]


def ends_with(command: str) -> int:
    return next((status for part, status in ENDS if command.startswith(f"./billing {part}")), 0)


@pytest.mark.nightly
@pytest.mark.parametrize("command", texts("./billing "))
def test_every_command_of_billing_does_what_it_is_named_for(
    running: Service, names: dict[str, str], command: str
) -> None:
    expected = ends_with(command)
    if "--dry-run" in command and "register" in command:
        expected = 0
    words = filled(command, names)
    result = billing(running, *words)
    if result.returncode == USAGE and NAMES_ALONE.fullmatch(command):
        result, expected = billing(running, *words, "--help"), 0  # only the name is mentioned
    assert result.returncode == expected, result.stdout + result.stderr


def billing(running: Service, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `./billing` beside the service, as in another window."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(running.log.parent),
        "SHELL": "/bin/bash",
        "PYTHON": sys.executable,
        "DATA_DIR": str(running.log.parent / "data"),
    }
    return subprocess.run(
        # A waiting shell, which the installation of completion looks for.
        ["bash", "-c", '"$0" "$@"; exit $?', str(ROOT / "billing"), *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )


@pytest.mark.nightly
def test_the_blocks_of_shell_run_as_printed(running: Service, tmp_path: Path) -> None:
    for block in blocks():
        if block.page == "README.md":
            continue  # tests/e2e/test_readme_story.py runs them in order
        if "examples/receivers" in block.text:
            run_receiver(block.text, tmp_path)
            continue
        process = subprocess.run(
            ["bash", "-ec", running.translated(block.text)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, block.page
        assert '"code"' not in process.stdout, process.stdout


def run_receiver(text: str, folder: Path) -> None:
    """Start the receiver as documented, on a free port, and wait until it listens."""
    port, log = free_port(), folder / "receiver.log"
    command = text.replace("PORT=5000", f"PORT={port} JOURNAL={folder}/journal")
    with process("bash", "-c", f"exec env {command.strip()}", log=log):
        wait_until(lambda: f"127.0.0.1:{port}" in log.read_text(), "the receiver listens")
        assert requests.get(f"http://127.0.0.1:{port}", timeout=5).json() == {}
