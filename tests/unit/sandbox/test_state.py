from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sandbox.control import state
from sandbox.control.state import Keeper
from sandbox.events_out.webhook_endpoints import register
from sandbox.world.world import World
from tests.unit.sandbox.worlds import Bench

if TYPE_CHECKING:
    from pathlib import Path


def restarted(bench: Bench) -> Bench:
    """Return a world that is loaded from the journal of this one."""
    path = bench.folder / "again.json"
    fresh = Bench()
    bench.write_down()
    path.write_bytes(bench.path.read_bytes())
    keeper = Keeper(fresh.world, path)
    keeper.restore()
    keeper.close()
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
    path = tmp_path / "deep" / "state.json"
    keeper = Keeper(World(), path)
    keeper.restore()
    keeper.close()
    assert path.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]


def test_a_line_cut_off_by_a_kill_costs_only_itself(bench: Bench) -> None:
    bench.pay()
    bench.write_down()
    before = state.read(bench.path)
    with bench.path.open("a") as file:
        file.write('[["offset"],12')
    assert state.read(bench.path) == before


def test_a_payment_costs_the_file_its_own_parts_only(bench: Bench) -> None:
    def lines_of_a_payment() -> int:
        before = len(bench.path.read_text().splitlines())
        bench.pay()
        bench.write_down()
        return len(bench.path.read_text().splitlines()) - before

    first = lines_of_a_payment()
    for _ in range(50):
        bench.pay()
    bench.write_down()
    assert 5 < lines_of_a_payment() == first


def test_a_tidy_file_has_each_part_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "OUT_OF_DATE", 0)
    monkeypatch.setattr(state, "SLICE", 5)
    intent = bench.pay()

    async def tidy_while_paying() -> None:
        tidying = asyncio.create_task(bench.keeper._tidy())
        await asyncio.sleep(0)
        bench.pay()
        await tidying

    asyncio.run(tidy_while_paying())
    asyncio.run(bench.keeper._tidy())
    lines = bench.path.read_text().splitlines()
    assert len(lines) == len(state.dump(bench.world))
    assert restarted(bench).call("GET", f"/v1/payment_intents/{intent['id']}") == intent


KEEP = 20


def test_only_the_newest_of_each_kind_are_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep=KEEP)
    register(bench.world.scope(), {"url": "http://127.0.0.1:1/", "enabled_events": ["*"]})
    intents = []
    for _ in range(3 * KEEP):
        intents.append(bench.pay()["id"])
        bench.world.advance(2)
    account, mail = bench.world.account(), bench.world.mail
    sizes = {kind: len(table) for kind, table in account.tables.items()}
    assert max(sizes.values()) == KEEP
    assert list(account.table("payment_intent")) == intents[-KEEP:]
    assert len(account.notes) <= KEEP * len(sizes)
    assert len(account.order) <= KEEP * (len(sizes) + 1)
    assert {record["state"] for record in mail.deliveries.values()} == {"pending"}
    assert bench.call("GET", "/v1/balance")["available"][0]["amount"] != 0
    assert state.dump(restarted(bench).world) == state.dump(bench.world)
    bench.keeper.close()


def test_what_was_forgotten_still_counts_in_the_balance(tmp_path: Path) -> None:
    few, many = Bench(tmp_path / "few", keep=KEEP), Bench(tmp_path / "many", keep=10 * KEEP)
    totals = []
    for bench in (few, many):
        bench.keeper.close()
        for _ in range(2 * KEEP):
            bench.pay()
            bench.world.advance(2)
        balance = bench.call("GET", "/v1/balance")
        totals.append(balance["available"][0]["amount"] + balance["pending"][0]["amount"])
    assert totals[0] == totals[1] > 0


def test_without_a_file_the_world_is_new(tmp_path: Path) -> None:
    keeper = Keeper(World(), tmp_path / "none.json")
    assert keeper.restore() is False
    keeper.close()


def test_reset_keeps_the_endpoints(bench: Bench) -> None:
    form = {"url": "http://127.0.0.1:1/hook", "enabled_events": ["*"]}
    endpoint = bench.call("POST", "/v1/webhook_endpoints", form)
    bench.pay()
    state.clear(bench.world)
    assert bench.events == []
    assert [item["id"] for item in bench.call("GET", "/v1/webhook_endpoints")["data"]] == [
        endpoint["id"]
    ]
