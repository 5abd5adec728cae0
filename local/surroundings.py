"""The environment of the processes of one run: ports, the embedded store, the offline Stripe."""

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
from local.refusal import Refused
from shared.settings import Settings

DEFAULT_PORTS = {"PORT": "5001", "FLOWER_PORT": "5555"}
SANDBOX_PORTS = {"SANDBOX_PORT": "12111", "RECEIVER_PORT": "5050"}
LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65535
# Looks like Stripe's and opens nothing: the sandbox takes any test key.
SANDBOX_KEY = "sk_test_offline_sandbox"


@dataclass(frozen=True)
class Port:
    """A port this run will listen on, and the variable that moves it."""

    variable: str
    host: str
    number: int


def with_defaults(given: Mapping[str, str], *, sandbox: bool) -> dict[str, str]:
    """Give the environment with the ports and what suits a person at a terminal filled in."""
    defaults = DEFAULT_PORTS | (SANDBOX_PORTS if sandbox else {})
    defaults |= {"LOG_FORMAT": "text", "PYTHONUNBUFFERED": "1", "DATA_DIR": ".data"}
    return defaults | {name: value for name, value in given.items() if value}


def owner_of_data(environment: Mapping[str, str], *, sandbox: bool) -> Owner:
    """Say whose data this run keeps."""
    if sandbox:
        return "sandbox"
    return "live" if "_live_" in environment.get("STRIPE_SECRET_KEY", "") else "test"


def for_sandbox(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Give the environment in which Stripe is the offline sandbox and nothing else.

    Whatever Stripe key is configured is replaced, so that neither a real account is touched by
    accident nor a payment simulated by one; a live key in the environment is refused outright.
    """
    if "_live_" in environment.get("STRIPE_SECRET_KEY", ""):
        raise Refused(
            "STRIPE_SECRET_KEY is a live key and --sandbox was asked for. Unset it, or start the "
            "service against the real Stripe: python app.py"
        )
    kept = _kept_secrets(folder / "sandbox-secrets.json")
    own = {
        "STRIPE_SECRET_KEY": SANDBOX_KEY,
        "STRIPE_API_BASE": f"http://{LOOPBACK}:{environment['SANDBOX_PORT']}",
        "STRIPE_WEBHOOK_SECRET": kept["STRIPE_WEBHOOK_SECRET"],
        "SANDBOX_WEBHOOK_SECRET": kept["STRIPE_WEBHOOK_SECRET"],
        "SANDBOX_WEBHOOK_URL": f"http://{LOOPBACK}:{environment['PORT']}/api/webhook",
        "SANDBOX_STATE": str(folder / "sandbox.jsonl"),
        "RECEIVER_STATE": str(folder / "receiver.jsonl"),
    }
    replaceable = {
        "EVENT_SERVICE_URL": f"http://{LOOPBACK}:{environment['RECEIVER_PORT']}",
        "EVENT_SERVICE_SECRET": kept["EVENT_SERVICE_SECRET"],
        # Stripe's own limits, so that what is tried here meets them as it would there.
        "SANDBOX_RATE_LIMITS": "stripe",
    }
    return {**replaceable, **environment, **own}


def port_problems(environment: Mapping[str, str], variables: list[str]) -> list[str]:
    """List the variables that should be ports and are none, a line each."""
    return [
        f"{variable} is not valid: {environment[variable]} is not a port (1 to {HIGHEST_PORT})"
        for variable in variables
        if not _is_port(environment[variable])
    ]


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdecimal() and 0 < int(value) <= HIGHEST_PORT


def listening_ports(environment: Mapping[str, str], variables: list[str]) -> list[Port]:
    """Give the ports this run will listen on; `port_problems` has found nothing."""
    return [
        Port(
            variable,
            environment.get("HOST", LOOPBACK) if variable == "PORT" else LOOPBACK,
            int(environment[variable]),
        )
        for variable in variables
    ]


def refuse_busy(ports: list[Port]) -> None:
    """Raise `Refused`, naming each port that cannot be had and the variable that moves it."""
    problems, seen = [], dict[int, str]()
    for port in ports:
        if port.number in seen:
            problems.append(
                f"port {port.number} is given twice: {seen[port.number]} and {port.variable}"
            )
        elif problem := _why_unavailable(port):
            problems.append(
                f"port {port.number} on {port.host} cannot be used ({problem}); "
                f"choose another: {port.variable}={_free_port()}"
            )
        seen[port.number] = port.variable
    if problems:
        raise Refused("\n".join(problems))


def write_run_file(path: Path, environment: Mapping[str, str]) -> None:
    """Write the settings and ports of this run, for the tools that are used beside it.

    In the form of a `.env`: a shell, the demo and the command line can all read it. All of it, as
    nobody knows which of it another window's shell has.
    """
    known = {name.upper() for name in Settings.model_fields} | {*DEFAULT_PORTS, *SANDBOX_PORTS}
    text = "".join(
        f"{name}={shlex.quote(value)}\n"
        for name, value in sorted(environment.items())
        if name in known
    )
    _write_privately(path, text)


def _kept_secrets(path: Path) -> dict[str, str]:
    """Give the secrets of this data directory, made at the first run.

    They stay, because events and notifications signed with them may still be on their way.
    """
    try:
        kept = json.loads(path.read_text())
        return {name: str(kept[name]) for name in ("STRIPE_WEBHOOK_SECRET", "EVENT_SERVICE_SECRET")}
    except (ValueError, TypeError, KeyError):
        raise Refused(
            f"{path} is damaged. Remove it, and the next start makes new secrets; what was signed "
            "with the old ones and is still on its way will be refused."
        ) from None
    except FileNotFoundError:
        made = {
            "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(32)}",
            "EVENT_SERVICE_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        _write_privately(path, json.dumps(made, indent=2))
        return made


def _write_privately(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:  # noqa: PTH123  # pathlib cannot set the mode
        file.write(text)


def _why_unavailable(port: Port) -> str | None:
    with socket.socket() as probe:
        # As the servers do: a port whose last connections still time out is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
            probe.listen()
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
