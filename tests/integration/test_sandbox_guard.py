"""The sandbox and the receiver refuse requests of other web pages."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests import servers

FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "evil.example"},
    {"Host": "localhost.evil.example:12111"},
]
SIMPLE_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
]
CONTROLS = [
    ("/_sandbox/reset", "{}"),
    ("/_sandbox/clock", '{"advance_seconds": 86400}'),
    ("/_sandbox/faults", '{"kind": "error"}'),
    ("/_sandbox/deliveries", '{"mode": "dropped"}'),
]


def post(url: str, text: str, headers: dict[str, str]) -> requests.Response:
    return requests.post(url, data=text, headers=headers, timeout=5)


@pytest.mark.parametrize(("path", "text"), CONTROLS)
def test_no_page_controls_the_sandbox(sandbox: str, path: str, text: str) -> None:
    clock = f"{sandbox}/_sandbox/clock"
    for headers in FOREIGN:
        all_headers = {"Content-Type": "application/json"} | headers
        assert post(sandbox + path, text, all_headers).status_code == 403, headers
    for content_type in SIMPLE_TYPES:
        answer = post(sandbox + path, text, {"Content-Type": content_type})
        assert answer.status_code == 415, content_type
    assert requests.get(clock, timeout=5).json()["offset_seconds"] == 0
    assert requests.get(f"{sandbox}/_sandbox/faults", timeout=5).json() == {"faults": []}
    assert post(sandbox + path, text, {"Content-Type": "application/json"}).status_code == 200
    requests.delete(f"{sandbox}/_sandbox/faults", timeout=5).raise_for_status()
    requests.delete(f"{sandbox}/_sandbox/deliveries", timeout=5).raise_for_status()


@pytest.mark.parametrize("path", ["/v1/events", "/_sandbox/books", "/", "/_sandbox/clock"])
def test_no_page_reads_the_sandbox_by_a_name_of_its_own(sandbox: str, path: str) -> None:
    headers = {"Host": "evil.example", "Authorization": "Bearer sk_test_x"}
    assert requests.get(sandbox + path, headers=headers, timeout=5).status_code == 403


@pytest.mark.parametrize("path", ["/api/billing/notifications", "/_control/faults"])
def test_no_page_tells_the_receiver_anything(receiver: str, path: str) -> None:
    body: dict[str, Any] = {"status": 500, "count": 1}
    for headers in FOREIGN:
        answer = requests.post(receiver + path, json=body, headers=headers, timeout=5)
        assert answer.status_code == 403
    for content_type in SIMPLE_TYPES:
        assert post(receiver + path, "{}", {"Content-Type": content_type}).status_code == 415
    answer = requests.get(f"{receiver}/notifications", headers={"Host": "evil.example"}, timeout=5)
    assert answer.status_code == 403
    assert requests.get(f"{receiver}/notifications", timeout=5).json()["count"] == 0
    # An unsigned notification is refused, too; the routes for faults need no signature.
    expected_status = 401 if path.endswith("notifications") else 200
    assert requests.post(receiver + path, json=body, timeout=5).status_code == expected_status


def test_a_setting_adds_names() -> None:
    with servers.sandbox(SANDBOX_ALLOWED_HOSTS="sandbox, stripe.test") as url:
        for host, status in (("sandbox:12111", 200), ("stripe.test", 200), ("other", 403)):
            answer = requests.get(f"{url}/_sandbox/clock", headers={"Host": host}, timeout=5)
            assert answer.status_code == status


def test_the_receiver_keeps_the_newest_in_memory_and_on_disk(tmp_path: Any) -> None:
    state = tmp_path / "receiver.jsonl"
    environment = {"RECEIVER_KEEP": "10", "RECEIVER_STATE": str(state)}
    with servers.receiver(**environment) as url:
        for number in range(35):
            note = {"type": "payment.succeeded", "id": f"ntf_{number}", "data": {}}
            requests.post(f"{url}/x", json=note, timeout=5).raise_for_status()
        page = requests.get(f"{url}/notifications", timeout=5).json()
        assert [entry["id"] for entry in page["data"]] == [f"ntf_{n}" for n in range(25, 35)]
        one = requests.get(f"{url}/notifications?id=ntf_30", timeout=5).json()
        assert one["count"] == 1
    files = [path.read_text().splitlines() for path in tmp_path.iterdir()]
    assert sum(map(len, files)) <= 20
    with servers.receiver(**environment) as url:
        assert requests.get(f"{url}/notifications", timeout=5).json() == page
        again = {"type": "payment.succeeded", "id": "ntf_34", "data": {}}
        requests.post(f"{url}/x", json=again, timeout=5).raise_for_status()
        newest = requests.get(f"{url}/notifications", timeout=5).json()["data"][-1]
        assert newest["duplicate"]
