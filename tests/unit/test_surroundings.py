"""The surroundings of a run: which setting is wrong when nothing can listen."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from local.refusal import Refusal
from local.surroundings import Port, for_sandbox, refuse_busy, with_defaults
from local.welcome import places, things_to_try


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "2001:db8::7"])
def test_a_host_that_is_not_of_this_machine_is_named(host: str) -> None:
    with pytest.raises(Refusal, match=f"^HOST is not valid: {host} is no address") as refusal:
        refuse_busy([Port("PORT", host, 5001)])
    assert "PORT=" not in str(refusal.value)


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "127.0.0.2"])  # noqa: S104  # a setting
def test_a_busy_port_of_a_good_host_is_named_with_another(host: str) -> None:
    with socket.socket() as busy:
        busy.bind((host, 0))
        busy.listen()
        number = busy.getsockname()[1]
        with pytest.raises(Refusal, match=rf"^port {number} on {host} cannot be used .* PORT=\d+"):
            refuse_busy([Port("PORT", host, number)])
    refuse_busy([Port("PORT", host, number)])


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:5001"),
        ("127.0.0.2", "http://127.0.0.2:5001"),
        ("localhost", "http://localhost:5001"),
        ("192.0.2.7", "http://192.0.2.7:5001"),
        ("0.0.0.0", "http://127.0.0.1:5001"),  # noqa: S104  # a setting
        ("::", "http://[::1]:5001"),
        ("::1", "http://[::1]:5001"),
        ("[2001:db8::7]", "http://[2001:db8::7]:5001"),
    ],
)
def test_every_program_of_a_run_calls_the_api_where_it_listens(
    tmp_path: Path, host: str, url: str
) -> None:
    environment = with_defaults({"HOST": host}, sandbox=True)
    stripe = for_sandbox(environment, tmp_path)
    (api,) = places(stripe, ["api"])
    assert stripe["SANDBOX_WEBHOOK_URL"] == f"{url}/api/webhook"
    assert api.url == url
    assert url in "\n".join(things_to_try(stripe, sandbox=True))
