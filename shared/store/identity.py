"""Identity of the data in Redis: written once, compared by every process while it runs.

Without it a process of a live account would carry out the work that the sandbox left behind,
and one installation would deliver what another staged.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from shared.errors import Misconfigured, Unavailable
from shared.refusal import UNUSABLE
from shared.settings import Settings
from shared.store.scripts import Call, Store
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
SANDBOX = "sandbox"


@dataclass(frozen=True)
class Identity:
    """Mode (`live`, `test`, `sandbox`), address of Stripe's API and account; '' is unknown.

    A sandbox is known by its account, which lies in its state, wherever it listens.
    """

    mode: str = ""
    api_base: str = ""
    account: str = ""

    def __str__(self) -> str:
        """Name the identity for a person."""
        texts = (f"mode {self.mode}", self.account and f"account {self.account}", self.api_base)
        return ", ".join(part for part in texts if part)


def identity_of(settings: Settings, account: str = "") -> Identity:
    """Return the identity of a process, from its settings and, when it is known, its account."""
    if settings.stripe_api_base:
        return Identity(SANDBOX, account=account)
    return Identity(settings.mode, account=account)


def identity_in(store: Store) -> Identity:
    """Read the identity of the data in Redis; all empty for a new one. Raises `Unavailable`."""
    fields = store.hash(store.keys.identity())
    return Identity(**{name: fields.get(name, "") for name in asdict(Identity())})


def ensure_ours(store: Store, ours: Identity) -> None:
    """Write our identity into a Redis that has none; refuse the data of another identity.

    A part that one side does not know is not compared, and is added when we know it. Raises
    `Misconfigured`, which names both sides, and `Unavailable`.
    """
    own = {name: value for name, value in asdict(ours).items() if value}
    args = [part for item in own.items() for part in item]
    flat = store.run(Call("identify", {"identity": store.keys.identity()}, args))
    parts = dict(zip(flat[::2], flat[1::2], strict=True))
    if any(parts[name] != value for name, value in own.items()):
        raise Misconfigured(
            f"REDIS_URL: the data in this Redis belong to another identity. They were written by: "
            f"{Identity(**parts)}. This process is: {ours}. Give each its own INSTALLATION (now "
            f"{store.keys.installation!r}) or its own Redis; to give this one to the new identity, "
            f"delete {store.keys.identity()} when no work waits.",
            code="store_of_another_identity",
        )


def watch(store: Store, ours: Identity) -> None:
    """Compare again, because the connection may lead to another server or an empty one now.

    Ends the process with status 2 when the data belong to another identity now.
    """
    try:
        ensure_ours(store, ours)
    except Unavailable:
        return
    except Misconfigured as error:
        log.critical("store_of_another_identity", detail=error.detail)
        os._exit(UNUSABLE)
