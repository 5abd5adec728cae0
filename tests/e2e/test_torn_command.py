"""A crash that cut the last command in the append-only file is shown wherever a person looks."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.e2e.running import service


@pytest.mark.nightly
def test_a_torn_last_command_is_told_at_start_on_the_console_and_by_the_doctor(
    tmp_path: Path,
) -> None:
    with service(tmp_path) as first:
        assert first.pay("pm_card_visa").status_code == 200
        assert requests.get(f"{first.url()}/ops/queues", timeout=5).json()["store_findings"] == []
    (journal,) = (tmp_path / "data").rglob("*.incr.aof")
    with journal.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$100\r\nnot all of i")
    with service(tmp_path) as second:
        assert "A crash left an incomplete last command" in second.log.read_text()
        (finding,) = requests.get(f"{second.url()}/ops/queues", timeout=5).json()["store_findings"]
        assert (finding["level"], "was dropped" in finding["what"]) == ("warning", True)
        metrics = requests.get(f"{second.url()}/metrics", timeout=5).text
        assert 'billing_store_findings{level="warning"} 2.0' in metrics  # maxmemory and the notice
