"""The connection for scripts: each caller gets its own answer, whatever fails."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from shared.errors import Unavailable
from shared.store.connection import open_store
from shared.store.scripts import Call, Line, Store
from shared.work.payments import Payments
from tests.conftest import make_settings, store_on
from tests.servers import valkey

CALLERS = 8
EACH = 200


@pytest.fixture
def line(real_store: Store) -> Line:
    """Return a connection to a real server."""
    return Line(real_store.redis)


def test_callers_at_once_get_their_own_answers(line: Line) -> None:
    def ask(caller: int) -> list[str]:
        return [line.exchange("ECHO", f"{caller}:{number}") for number in range(EACH)]

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(ask, range(CALLERS)))
    assert answers == [[f"{caller}:{n}" for n in range(EACH)] for caller in range(CALLERS)]


def test_a_connection_that_the_server_closed_is_replaced(line: Line, real_store: Store) -> None:
    mine = line.exchange("CLIENT", "ID")
    real_store.redis.client_kill_filter(_id=str(mine), skipme=False)
    assert line.exchange("PING") in ("PONG", True)
    assert line.exchange("CLIENT", "ID") != mine


def test_an_answer_that_came_too_late_is_nobodys(valkey_url: str) -> None:
    store = open_store(make_settings(redis_url=valkey_url, redis_timeout_seconds=0.5), "late")
    with Redis.from_url(valkey_url) as operator:
        store.put("{billing}:late", "the late one", 60)
        operator.client_pause(1_500, all=True)
        with pytest.raises(Unavailable):
            store.get("{billing}:late")
        time.sleep(1.5)
    assert store.get("{billing}:none") is None


def test_a_server_that_lost_its_scripts_gets_them_again(real_store: Store) -> None:
    names = {
        "breaker": real_store.keys.breaker(),
        "failing": real_store.keys.failing(),
        "probe": real_store.keys.probe(),
    }
    for _ in range(2):
        real_store.redis.script_flush()
        real_store.run(Call("close", names))


def test_an_error_answer_leaves_the_connection_usable(line: Line, real_store: Store) -> None:
    real_store.redis.set("{billing}:text", "x")
    mine = line.exchange("CLIENT", "ID")
    with pytest.raises(ResponseError, match="wrong kind"):
        line.exchange("RPOP", "{billing}:text")
    assert line.exchange("CLIENT", "ID") == mine


def put(name: str, value: str) -> Call:
    return Call("put", {"made": name}, [value, 60_000])


def test_scripts_together_take_one_read_of_redis() -> None:
    names = ["{billing}:first", "{billing}:second"]
    # A server of its own: an earlier test's connections may still end, and an end counts as a read.
    with valkey() as url, store_on(make_settings(redis_url=url)) as store:
        store.run(put(names[0], "0"))
        reads = store.redis.info("stats")["total_reads_processed"]
        assert len(store.run_each([put(name, name) for name in names])) == 2
        # One read of ours, and one of the question for the number of reads.
        assert store.redis.info("stats")["total_reads_processed"] == reads + 2
        assert [store.get(name) for name in names] == names


def test_a_server_that_lost_its_scripts_runs_each_once(real_store: Store) -> None:
    payments = Payments(real_store, 60)
    for number in range(2):
        real_store.redis.script_flush()
        real_store.run_each([payments.note("pi_1", "a"), put("{billing}:number", str(number))])
        assert real_store.get("{billing}:number") == str(number)
    assert [entry["kind"] for entry in payments.entries("pi_1")] == ["a", "a"]


def test_of_scripts_together_one_that_fails_stops_no_other(real_store: Store) -> None:
    payments = Payments(real_store, 60)
    real_store.redis.set(real_store.keys.timeline("pi_1"), "no list")
    with pytest.raises(Unavailable):
        real_store.run_each([payments.note("pi_1", "a"), put("{billing}:after", "it")])
    assert real_store.get("{billing}:after") == "it"


def test_a_fork_leaves_its_parents_connections_alone(line: Line) -> None:
    mine = line.exchange("CLIENT", "ID")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(line.exchange("CLIENT", "ID")).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reader, 100))
    assert theirs != mine
    assert line.exchange("CLIENT", "ID") == mine
