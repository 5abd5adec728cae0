"""The contents of the images, run like a container on a machine without Docker.

The files that a Dockerfile copies lie in an empty folder. A Python that refuses every package
missing from the image's list runs the Dockerfile's command and its health check.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import requests
import yaml

from tests.servers import ROOT, free_port, wait_until

STOP_SECONDS = 30  # the shortest grace period of a process with work to return, in the compose file
REFUSE = """
import sys
from importlib.machinery import PathFinder

refused = {modules!r}

class Listed:
    find_distributions = PathFinder.find_distributions

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in refused:
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Listed
"""


@cache
def distributions() -> dict[str, set[str]]:
    """Return what is installed here: of which packages each module is."""
    return {
        module: {name.lower().replace("_", "-").replace(".", "-") for name in names}
        for module, names in packages_distributions().items()
    }


class Image:
    """The files and commands of one Dockerfile, and the packages that it installs."""

    def __init__(self, dockerfile: str, folder: Path) -> None:
        text = dockerfile.replace("\\\n", " ")
        stage = text[max(text.rfind("\nFROM "), 0) :]
        self.folder = folder / "app"
        for sources, target in re.findall(r"^COPY ([^-].*) (\S+)$", stage, re.MULTILINE):
            for source in sources.split():
                self._copy(ROOT / source, target)
        self.command = json.loads(re.search(r"^CMD (.*)$", stage, re.MULTILINE)[1])
        entrypoint = re.search(r"^ENTRYPOINT (.*)$", stage, re.MULTILINE)
        self.entrypoint = json.loads(entrypoint[1]) if entrypoint else []
        check = re.search(r"^HEALTHCHECK .*CMD (.*)$", stage, re.MULTILINE)
        self.check = json.loads(check[1]) if check else []
        self._path = folder / "path"
        self._path.mkdir()
        packages = re.search(r" -r /(requirements[a-z-]*\.txt)", text)[1]
        lines = (ROOT / packages).read_text().splitlines()
        names = {re.split(r"[\[=]", row)[0] for row in lines if re.match(r"\w", row)}
        others = {module for module, of in distributions().items() if not of & names}
        (self._path / "sitecustomize.py").write_text(REFUSE.format(modules=others))

    def _copy(self, source: Path, written: str) -> None:
        target = self.folder / written
        if source.suffix == ".txt":
            return  # a list of packages, for the installation
        if source.is_dir():
            # Compiled files, too, or each start would compile; not those that are being written.
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            folder = target if written.endswith("/") else target.parent
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of the container, with addresses on loopback."""
        settings = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self._path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "HOST": "127.0.0.1",
            "STRIPE_SECRET_KEY": "sk_test_of_an_image",
            "STRIPE_API_BASE": "http://127.0.0.1:9",
            "STRIPE_WEBHOOK_SECRET": "whsec_of_an_image",
            "EVENT_SERVICE_URL": "http://127.0.0.1:9",
        }
        return settings | variables

    @contextmanager
    def running(self, command: list[str], **variables: str):
        """Run a command of the image; afterwards it has to stop by itself after SIGTERM."""
        log = self._path / "log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [*self.entrypoint, *command],
                cwd=self.folder,
                env=self.environment(**variables),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process, log
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) in (0, -signal.SIGTERM), log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def healthy(self, **variables: str) -> bool:
        """Run the image's health check as Docker does."""
        process = subprocess.run(
            self.check,
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            check=False,
        )
        return process.returncode == 0


@pytest.fixture
def api_image(tmp_path):
    return Image((ROOT / "Dockerfile.api").read_text(), tmp_path)


@pytest.fixture
def worker_image(tmp_path):
    return Image((ROOT / "Dockerfile.worker").read_text(), tmp_path)


def compose_service(name, file="docker-compose.yml"):
    return yaml.safe_load((ROOT / file).read_text())["services"][name]


def compose_command(name):
    return compose_service(name)["command"]


def test_the_api_image_serves_and_stops(api_image, valkey_url):
    port = str(free_port())
    assert not api_image.healthy(PORT=port)
    with api_image.running(api_image.command, PORT=port, REDIS_URL=valkey_url) as (process, log):
        url = f"http://127.0.0.1:{port}/health"
        answer = wait_until(lambda: answer_of(url, process, log), "the API's health")
        assert answer.json() == {"status": "healthy", "service": "billing-service"}
        assert requests.get(f"{url}/ready", timeout=5).status_code == 200
        script = f"http://127.0.0.1:{port}/console/main.js"
        assert requests.get(script, timeout=5).headers["Content-Type"].startswith("text/javascript")
        assert api_image.healthy(PORT=port)
    assert no_json(log) == []


def test_an_image_started_without_redis_says_what_it_needs(api_image):
    status, output = refusal(api_image)
    assert status == 2
    assert "REDIS_URL is not set" in output


def test_the_api_image_started_without_settings_names_each_of_them(api_image, valkey_url):
    missing = {"STRIPE_SECRET_KEY": "", "STRIPE_WEBHOOK_SECRET": "", "EVENT_SERVICE_URL": ""}
    status, output = refusal(api_image, REDIS_URL=valkey_url, **missing)
    assert status == 2
    assert all(f"{name} is not set" in output for name in missing)


@pytest.mark.parametrize(
    ("command", "variables", "missing"),
    [
        (["python", "-m", "worker"], {"STRIPE_SECRET_KEY": ""}, "STRIPE_SECRET_KEY"),
        (["python", "-m", "worker"], {"EVENT_SERVICE_URL": ""}, "EVENT_SERVICE_URL"),
        (["python", "-m", "worker.upkeep"], {"RELAY_INTERVAL_SECONDS": "x"}, "RELAY_INTERVAL"),
        (compose_command("flower"), {}, "FLOWER_BASIC_AUTH"),
    ],
)
def test_what_the_worker_image_runs_refuses_a_wrong_start_with_2(
    worker_image, valkey_url, command, variables, missing
):
    status, output = refusal(worker_image, command, REDIS_URL=valkey_url, **variables)
    assert (status, output.count("\n")) == (2, 2)
    assert output.splitlines()[1].startswith(missing)


@pytest.mark.long
def test_the_worker_image_works_answers_its_health_check_and_stops(worker_image, valkey_url):
    assert not worker_image.healthy(REDIS_URL=valkey_url)
    with worker_image.running(worker_image.command, REDIS_URL=valkey_url) as (process, log):
        wait_until(lambda: output(" ready.", process, log), "the worker is ready")
        assert worker_image.healthy(REDIS_URL=valkey_url)
    assert no_json(log) == []


def test_upkeep_runs_from_the_worker_image_and_stops(worker_image, valkey_url):
    with worker_image.running(compose_command("upkeep"), REDIS_URL=valkey_url) as (process, log):
        wait_until(lambda: output("upkeep_started", process, log), "upkeep has started")
    assert no_json(log) == []


@pytest.mark.long
def test_the_health_check_of_upkeep_tells_whether_it_sweeps(worker_image, valkey_url, tmp_path):
    heartbeat = tmp_path / "heartbeat"
    written = json.dumps(compose_service("upkeep")["healthcheck"]["test"][1:])
    check = json.loads(written.replace("/tmp/heartbeat", str(heartbeat)))  # noqa: S108  # the file's

    def is_healthy() -> bool:
        return subprocess.run(check, check=False, capture_output=True).returncode == 0

    assert not is_healthy()
    command = compose_command("upkeep")
    variables = {"REDIS_URL": valkey_url, "HEARTBEAT_FILE": str(heartbeat)}
    with worker_image.running(command, **variables):
        wait_until(is_healthy, "upkeep sweeps")
        os.utime(heartbeat, (0, 0))
        wait_until(is_healthy, "upkeep sweeps again")
    os.utime(heartbeat, (0, 0))
    assert not is_healthy()


@pytest.mark.long
def test_upkeep_is_healthy_while_redis_is_away(worker_image, tmp_path):
    heartbeat = tmp_path / "heartbeat"
    away = f"redis://127.0.0.1:{free_port()}/0"
    variables = {"REDIS_URL": away, "HEARTBEAT_FILE": str(heartbeat)}
    with worker_image.running(compose_command("upkeep"), **variables):
        wait_until(heartbeat.exists, "upkeep sweeps")


@pytest.mark.parametrize("name", ["sandbox", "receiver"])
def test_a_strangers_image_can_import_what_its_command_runs(name, tmp_path):
    service = compose_service(name, "docker-compose.dev.yml")
    image = Image(service["build"]["dockerfile_inline"], tmp_path)
    ports = {"SANDBOX_PORT": "0", "RECEIVER_PORT": "0", "SANDBOX_HOST": "127.0.0.1"}
    own = {key: value for key, value in service["environment"].items() if "SECRET" in key}
    with image.running(service.get("command", image.command), **own, **ports) as (process, log):
        wait_until(lambda: output("listening on", process, log), f"{name} listens")


def test_the_command_line_runs_from_the_worker_image(worker_image, valkey_url):
    service = compose_service("billing")
    worker_image.entrypoint = service["entrypoint"]
    away = f"http://127.0.0.1:{free_port()}"
    status, text = refusal(worker_image, ["queues"], REDIS_URL=valkey_url, BILLING_URL=away)
    assert status != 0
    assert f"The billing API at {away} does not answer" in " ".join(text.split())


@pytest.mark.long
def test_flower_runs_from_the_worker_image_behind_its_password(worker_image, valkey_url):
    port = free_port()
    to_loopback = {"--address=0.0.0.0": "--address=127.0.0.1", "--port=5555": f"--port={port}"}
    command = [to_loopback.get(word, word) for word in compose_command("flower")]
    secured = {"REDIS_URL": valkey_url, "FLOWER_BASIC_AUTH": "a-user:a-password"}
    with worker_image.running(command, **secured) as (process, log):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answer_of(f"{url}/healthcheck", process, log), "Flower's health")
        assert requests.get(url, timeout=5).status_code == 401
        assert requests.get(url, auth=("a-user", "a-password"), timeout=5).status_code == 200


def no_json(log):
    """Return the lines that are not JSON."""
    lines = log.read_text().splitlines()
    assert len(lines) > 1
    # Celery's signal handler writes without a logger, which cannot be changed.
    rest = [line for line in lines if line and line != "worker: Warm shutdown (MainProcess)"]
    return [line for line in rest if not line.startswith('{"')]


def refusal(image, command=None, **variables):
    process = subprocess.run(
        [*image.entrypoint, *(command or image.command)],
        cwd=image.folder,
        env=image.environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    return process.returncode, process.stderr


def answer_of(url, process, log):
    assert process.poll() is None, log.read_text()
    try:
        return requests.get(url, timeout=5)
    except requests.ConnectionError:
        return None


def output(text, process, log):
    assert process.poll() is None, log.read_text()
    return text in log.read_text()
