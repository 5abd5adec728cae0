"""SIGHUP replaces the API's processes and keeps its settings, also when changed ones are wrong."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import requests

from tests.conftest import SIGNING_SECRET
from tests.servers import free_port, process, wait_until

KEY = "key-of-the-shop-0123456789"
SETTINGS = {
    "STRIPE_SECRET_KEY": "sk_test_tests_0123456789",
    "STRIPE_WEBHOOK_SECRET": SIGNING_SECRET,
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "EVENT_SERVICE_URL": "http://127.0.0.1:9",
    "API_KEYS": f"shop:{KEY}",
    "API_WORKERS": "1",
}


def test_sighup_keeps_the_settings_of_the_start(valkey_url: str, tmp_path: Path) -> None:
    file, log, port = tmp_path / "settings.env", tmp_path / "api.log", free_port()
    lines = [f"{name}={value}\n" for name, value in SETTINGS.items()]
    file.write_text("".join(lines))
    environment = {
        "BILLING_ENV_FILE": str(file),
        "REDIS_URL": valkey_url,
        "PORT": str(port),
    }

    def status() -> int:
        try:
            return requests.get(
                f"http://127.0.0.1:{port}/api/payments?event_id=x",
                headers={"Authorization": f"Bearer {KEY}"},
                timeout=5,
            ).status_code
        except requests.ConnectionError:
            return 0

    with process(sys.executable, "-m", "api", environment=environment, log=log) as api:
        wait_until(lambda: status() == 200, "the API answers")
        file.write_text("STRIPE_SECRET_KEY=no-key\nAPI_KEYS=other:x\nOPERATER_KEYS=x\n")
        api.send_signal(signal.SIGHUP)
        wait_until(lambda: "api_process_stopped" in log.read_text(), "the process is replaced")
        assert status() == 200
        assert log.read_text().count("restart the API to load others") == 1
        assert api.poll() is None
