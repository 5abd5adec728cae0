"""The secrets and addresses of each process.

A setting that is not named here is no secret and goes to every process. Compose, the Kubernetes
manifests, the systemd units and `python app.py` follow this table; tests compare them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, get_args

Process = Literal["api", "worker", "notifier", "upkeep", "flower", "sandbox", "receiver"]
PROCESSES: tuple[Process, ...] = get_args(Process)
# A worker process is a notifier when it serves the queue of notifications, and a worker when it
# serves any other.
NOTIFICATIONS_QUEUE = "notifications"

SECRETS_OF: Mapping[str, frozenset[str]] = {
    "api": frozenset(
        {
            "STRIPE_SECRET_KEY",
            "STRIPE_WEBHOOK_SECRET",
            "EVENT_SERVICE_URL",
            "API_KEYS",
            "OPERATOR_KEYS",
        }
    ),
    "worker": frozenset({"STRIPE_SECRET_KEY"}),
    "notifier": frozenset({"EVENT_SERVICE_URL", "EVENT_SERVICE_SECRET"}),
    "upkeep": frozenset(),
    "flower": frozenset({"FLOWER_BASIC_AUTH"}),
    "sandbox": frozenset({"SANDBOX_WEBHOOK_SECRET"}),
    "receiver": frozenset({"EVENT_SERVICE_SECRET"}),
}
GUARDED = frozenset().union(*SECRETS_OF.values())


def secrets_of(processes: Iterable[Process]) -> frozenset[str]:
    """Return the guarded variables of these processes."""
    return frozenset().union(*(SECRETS_OF[process] for process in processes))


def own_environment(process: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the secrets of other processes."""
    own = SECRETS_OF.get(process, frozenset())
    return {
        name: value for name, value in environment.items() if name in own or name not in GUARDED
    }


def roles_of(queues: Collection[str]) -> tuple[Process, ...]:
    """Return the roles of a worker process, from the queues that it serves."""
    roles: list[Process] = []
    if any(queue != NOTIFICATIONS_QUEUE for queue in queues):
        roles.append("worker")
    if NOTIFICATIONS_QUEUE in queues:
        roles.append("notifier")
    return tuple(roles)


def markdown_table() -> str:
    """Render the table of docs/processes.md."""
    ours = [process for process in PROCESSES if process not in ("sandbox", "receiver")]
    rows = [f"| Variable | {' | '.join(ours)} |", "| --- |" + " --- |" * len(ours)]
    names = sorted(secrets_of(ours))
    rows += [
        f"| `{name}` | {' | '.join('yes' if name in SECRETS_OF[p] else '–' for p in ours)} |"
        for name in names
    ]
    return "\n".join(rows) + "\n"
