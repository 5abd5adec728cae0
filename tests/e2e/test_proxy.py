"""Two API processes behind the example's nginx, replaced one after the other under load."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.e2e.parts import Parts, billing
from tests.e2e.shopping import Shopping
from tests.servers import PATIENCE_SECONDS, ROOT, free_ports, process, wait_until

NGINX = shutil.which("nginx") or next(
    (path for path in ("/usr/sbin/nginx", "/usr/local/sbin/nginx") if Path(path).exists()), None
)
pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None,
    reason="no nginx or no openssl on this machine",
)
AROUND = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/billing.conf;
}}
"""


def make_certificate(folder: Path) -> Path:
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "fullchain.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return folder / "fullchain.pem"


class Proxy:
    """A running nginx whose upstreams can be removed and added again."""

    def __init__(self, url: str, folder: Path, running: subprocess.Popen[str]) -> None:
        self.url = url
        self._file = folder / "billing.conf"
        self._running = running

    def take_out(self, port: int) -> None:
        text = self._file.read_text()
        self._reload(text.replace(f":{port} max_fails=0;", f":{port} max_fails=0 down;"))

    def put_back(self, port: int) -> None:
        text = self._file.read_text()
        self._reload(text.replace(f":{port} max_fails=0 down;", f":{port} max_fails=0;"))

    def _reload(self, text: str) -> None:
        assert text != self._file.read_text()
        self._file.write_text(text)
        self._running.send_signal(signal.SIGHUP)
        time.sleep(1)  # as docs/releases.md says


@contextmanager
def nginx(folder: Path, port: int, upstreams: tuple[int, int]) -> Iterator[Proxy]:
    """Run the example with free ports and its own certificate."""
    text = (ROOT / "deploy/proxy/nginx.conf").read_text()
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:5001", f"127.0.0.1:{upstreams[0]}"),
        ("127.0.0.1:5002", f"127.0.0.1:{upstreams[1]}"),
        ("/etc/ssl/billing", str(folder)),
        ("billing.example", "localhost"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "billing.conf").write_text(text)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with process(*command, log=folder / "nginx.log") as running:
        url = f"https://localhost:{port}"
        wait_until(lambda: answers(url), "nginx answers")
        yield Proxy(url, folder, running)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).ok
    except requests.RequestException:
        return False


class Apis:
    """The APIs, each of which can be replaced."""

    def __init__(self, parts: Parts, ports: tuple[int, int], stack: ExitStack) -> None:
        self._parts = parts
        self._stack = stack
        self._running: dict[int, subprocess.Popen[str]] = {}
        for port in ports:
            self.start(port)

    def start(self, port: int) -> None:
        environment = self._parts.environment | {"PORT": str(port), "TRUSTED_PROXIES": "1"}
        log = self._parts.folder / f"api-{port}.log"
        command = [sys.executable, "-m", "api"]
        running = process(*command, environment=environment, log=log)
        self._running[port] = self._stack.enter_context(running)
        wait_until(lambda: answers(f"http://127.0.0.1:{port}"), f"the API on {port} answers")

    def replace(self, port: int) -> None:
        self._running[port].send_signal(signal.SIGTERM)
        assert self._running[port].wait(PATIENCE_SECONDS) in (0, -signal.SIGTERM)
        self.start(port)


@pytest.mark.slow
@pytest.mark.nightly
def test_replacing_one_api_after_the_other_fails_no_request(
    valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(make_certificate(tmp_path)))
    first, second, outside = free_ports(3)
    with billing(tmp_path, valkey_url) as parts, ExitStack() as stack:
        apis = Apis(parts, (first, second), stack)
        proxied = stack.enter_context(nginx(tmp_path, outside, (first, second)))
        with Shopping(proxied.url) as shopping:
            shopping.go_on()
            for port in (first, second):
                proxied.take_out(port)
                apis.replace(port)
                proxied.put_back(port)
                shopping.go_on()
        assert set(shopping.answers) == {200}, shopping.answers
        assert sum(shopping.answers.values()) > 60
