"""A world of the sandbox without a server: its objects, its clock, its events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.control.state import Keeper
from sandbox.routes import ROUTES
from sandbox.wire import params
from sandbox.wire.call import Call
from sandbox.wire.versions import ACCOUNT_DEFAULT
from sandbox.world.world import DEFAULT_KEEP, World

NO_REDIRECTS = {"enabled": "true", "allow_redirects": "never"}


class Bench:
    """Calls routes directly, in one world; with a folder, its journal is written there."""

    def __init__(self, folder: Path | None = None, keep: int = DEFAULT_KEEP) -> None:
        self.world = World(keep)
        if folder is not None:
            self.folder, self.path = folder, folder / "state.json"
            self.keeper = Keeper(self.world, self.path)
            self.keeper.restore()

    def write_down(self) -> None:
        """Write all changes to the journal."""
        while self.keeper._append():
            pass

    def call(self, method: str, path: str, form: dict[str, Any] | None = None) -> Any:
        for route in ROUTES:
            ids = route.match(method, path)
            if ids is not None:
                checked = params.parse(route.spec, form or {})
                scope = self.world.scope()
                return route.handler(Call(scope, ACCOUNT_DEFAULT, path, checked, ids))
        raise AssertionError(f"no route {method} {path}")

    def pay(self, method: str = "pm_card_visa", **more: Any) -> Any:
        form = {
            "amount": "2000",
            "currency": "usd",
            "payment_method": method,
            "confirm": "true",
            "automatic_payment_methods": NO_REDIRECTS,
        }
        return self.call("POST", "/v1/payment_intents", form | more)

    @property
    def events(self) -> list[str]:
        return [event["type"] for event in self.world.account().table("event").values()]

    def event(self, event_type: str) -> Any:
        events = self.world.account().table("event").values()
        return next(event for event in reversed(events) if event["type"] == event_type)
