"""The environment of the processes of one run: ports, the embedded Valkey, the sandbox."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.data_dir import PRIVATE, Owner
from local.refusal import Refusal
from shared.hosts import local_url, without_brackets
from shared.settings import Settings

DEFAULT_PORTS = {"PORT": "5001", "FLOWER_PORT": "5555"}
SANDBOX_PORTS = {"SANDBOX_PORT": "12111", "RECEIVER_PORT": "5050"}
LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65535
# It has the form of Stripe's keys and is valid nowhere: the sandbox accepts any test key.
SANDBOX_KEY = "sk_test_offline_sandbox"


@dataclass(frozen=True)
class Port:
    """A port on which this run will listen, and the variable that changes it."""

    variable: str
    host: str
    number: int


def with_defaults(environment: Mapping[str, str], *, sandbox: bool) -> dict[str, str]:
    """Add the default ports and the settings for a person at a terminal to an environment."""
    defaults = DEFAULT_PORTS | (SANDBOX_PORTS if sandbox else {})
    defaults |= {"LOG_FORMAT": "text", "PYTHONUNBUFFERED": "1", "DATA_DIR": ".data"}
    return defaults | {name: value for name, value in environment.items() if value}


def owner_of_data(environment: Mapping[str, str], *, sandbox: bool) -> Owner:
    """Return the owner of this run's data."""
    if sandbox:
        return "sandbox"
    return "live" if "_live_" in environment.get("STRIPE_SECRET_KEY", "") else "test"


def for_sandbox(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment in which Stripe is the sandbox and nothing else.

    A configured Stripe key is replaced, so that no real account is used by accident. A live key in
    the environment is refused.
    """
    if "_live_" in environment.get("STRIPE_SECRET_KEY", ""):
        raise Refusal(
            "STRIPE_SECRET_KEY is a live key, which --sandbox does not accept. Unset it, or start "
            "the service with the real Stripe: python app.py"
        )
    stored = _stored_secrets(folder / "sandbox-secrets.json")
    own = {
        "STRIPE_SECRET_KEY": SANDBOX_KEY,
        "STRIPE_API_BASE": f"http://{LOOPBACK}:{environment['SANDBOX_PORT']}",
        "STRIPE_WEBHOOK_SECRET": stored["STRIPE_WEBHOOK_SECRET"],
        "SANDBOX_WEBHOOK_SECRET": stored["STRIPE_WEBHOOK_SECRET"],
        "SANDBOX_WEBHOOK_URL": f"{api_url(environment)}/api/webhook",
        "SANDBOX_STATE": str(folder / "sandbox.jsonl"),
        "RECEIVER_STATE": str(folder / "receiver.jsonl"),
    }
    replaceable = {
        "EVENT_SERVICE_URL": f"http://{LOOPBACK}:{environment['RECEIVER_PORT']}",
        "EVENT_SERVICE_SECRET": stored["EVENT_SERVICE_SECRET"],
        # Stripe's own limits, so that a program meets them here as it would there.
        "SANDBOX_RATE_LIMITS": "stripe",
    }
    return {**replaceable, **environment, **own}


def api_url(environment: Mapping[str, str]) -> str:
    """Return the URL of the API for programs on this machine."""
    return local_url(environment.get("HOST", LOOPBACK), environment["PORT"])


def port_problems(environment: Mapping[str, str], variables: list[str]) -> list[str]:
    """List the variables whose value is no port, one line for each."""
    return [
        f"{variable} is not valid: {environment[variable]} is not a port (1 to {HIGHEST_PORT})"
        for variable in variables
        if not _is_port(environment[variable])
    ]


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdecimal() and 0 < int(value) <= HIGHEST_PORT


def listening_ports(environment: Mapping[str, str], variables: list[str]) -> list[Port]:
    """Return the ports on which this run will listen; `port_problems` must have found none."""
    return [
        Port(
            variable,
            _host(environment) if variable == "PORT" else LOOPBACK,
            int(environment[variable]),
        )
        for variable in variables
    ]


def _host(environment: Mapping[str, str]) -> str:
    return without_brackets(environment.get("HOST", LOOPBACK))


def refuse_busy(ports: list[Port]) -> None:
    """Raise `Refusal`, which names each port that is in use and the variable that changes it."""
    problems, owners = [], dict[int, str]()
    for port in ports:
        if port.number in owners:
            problems.append(
                f"port {port.number} is used twice: by {owners[port.number]} and {port.variable}"
            )
        elif problem := _why_unavailable(port):
            problems.append(problem)
        owners[port.number] = port.variable
    if problems:
        raise Refusal("\n".join(problems))


def write_run_file(path: Path, environment: Mapping[str, str]) -> None:
    """Write the settings and ports of this run to a file, for tools in other windows.

    It has the form of a `.env`, which a shell, the demo and the command line can read. It has all
    settings, because another window's shell may have any of them.
    """
    names = {name.upper() for name in Settings.model_fields} | {*DEFAULT_PORTS, *SANDBOX_PORTS}
    text = "".join(
        f"{name}={shlex.quote(value)}\n"
        for name, value in sorted(environment.items())
        if name in names
    )
    _write_privately(path, text)


def _stored_secrets(path: Path) -> dict[str, str]:
    """Return the secrets of this data directory, which its first run generates.

    They are kept, because events and notifications signed with them may still wait.
    """
    try:
        stored = json.loads(path.read_text("utf-8"))
        return {
            name: str(stored[name]) for name in ("STRIPE_WEBHOOK_SECRET", "EVENT_SERVICE_SECRET")
        }
    except (ValueError, TypeError, KeyError):
        raise Refusal(
            f"{path} is damaged. Remove it, and the next start generates new secrets; events and "
            "notifications signed with the old ones will be refused."
        ) from None
    except FileNotFoundError:
        fresh = {
            "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(32)}",
            "EVENT_SERVICE_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        _write_privately(path, json.dumps(fresh, indent=2))
        return fresh


def _write_privately(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _why_unavailable(port: Port) -> str | None:
    """Say what to do when the port cannot be used; its host is wrong if no port can be."""
    reason = _refusal_of(port.host, port.number)
    if reason is None:
        return None
    if port.host != LOOPBACK and _refusal_of(port.host, 0):
        return (
            f"HOST is not valid: {port.host} is no address of this machine ({reason}); use "
            f"{LOOPBACK}, or 0.0.0.0 for all addresses"
        )
    return (
        f"port {port.number} on {port.host} cannot be used ({reason}); "
        f"choose another: {port.variable}={_free_port()}"
    )


def _refusal_of(host: str, number: int) -> str | None:
    """Return why nothing can listen there; None when it can, as port 0 does at any good address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the servers do: a port whose old connections are only waiting to time out is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
            probe.listen()
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
