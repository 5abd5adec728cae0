from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandbox.control import state
from sandbox.control.state import Keeper
from sandbox.world.world import World
from tests.unit.sandbox.worlds import Bench

if TYPE_CHECKING:
    from pathlib import Path


def restarted(bench: Bench) -> Bench:
    saved = json.loads(json.dumps(state.dump(bench.world)))
    fresh = Bench()
    state.load(fresh.world, saved)
    return fresh


def test_a_restart_goes_on_where_it_was(bench: Bench) -> None:
    intent = bench.pay("pm_card_threeDSecure2Required")
    fresh = restarted(bench)
    assert fresh.call("GET", f"/v1/payment_intents/{intent['id']}") == intent
    assert fresh.events == bench.events


def test_what_was_due_is_done_after_a_restart(bench: Bench) -> None:
    bench.pay()
    fresh = restarted(bench)
    fresh.world.advance(1)
    assert fresh.events[-1] == "charge.updated"


def test_a_second_dump_is_the_first(bench: Bench) -> None:
    bench.pay()
    assert state.dump(restarted(bench).world) == state.dump(bench.world)


def test_the_file_is_for_its_owner_only(bench: Bench, tmp_path: Path) -> None:
    keeper = Keeper(bench.world, tmp_path / "deep" / "state.json")
    keeper.save()
    assert (tmp_path / "deep" / "state.json").stat().st_mode & 0o077 == 0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["state.json"]


def test_without_a_file_the_world_is_new(tmp_path: Path) -> None:
    assert Keeper(World(), tmp_path / "none.json").restore() is False


def test_reset_keeps_the_endpoints(bench: Bench) -> None:
    given = {"url": "http://127.0.0.1:1/hook", "enabled_events": ["*"]}
    endpoint = bench.call("POST", "/v1/webhook_endpoints", given)
    bench.pay()
    state.clear(bench.world)
    assert bench.events == []
    assert [item["id"] for item in bench.call("GET", "/v1/webhook_endpoints")["data"]] == [
        endpoint["id"]
    ]
