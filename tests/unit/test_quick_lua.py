"""fakeredis with compiled scripts kept: it refuses what it refused, and answers as it did."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest
from redis.exceptions import ResponseError

from tests.quick_lua import QuickLua


@pytest.fixture
def client() -> Iterator[fakeredis.FakeStrictRedis]:
    """Return a client of a new server."""
    with fakeredis.FakeStrictRedis(decode_responses=True, server=fakeredis.FakeServer()) as redis:
        yield redis
        assert isinstance(redis.connection_pool.connection_kwargs["server"]._lua_runtime, QuickLua)


def test_a_script_has_the_keys_and_arguments_of_each_run(client: fakeredis.FakeStrictRedis) -> None:
    script = "redis.call('SET', KEYS[1], ARGV[1]); return {KEYS[1], ARGV[1], #ARGV}"
    assert client.eval(script, 1, "a", "1") == ["a", "1", 1]
    assert client.eval(script, 1, "b", "2", "3") == ["b", "2", 2]
    assert client.mget("a", "b") == ["1", "2"]


def test_a_global_variable_is_refused_before_the_next_command_and_at_the_end(
    client: fakeredis.FakeStrictRedis,
) -> None:
    with pytest.raises(ResponseError, match="global variables: mine"):
        client.eval("mine = 1; return redis.call('SET', 'a', '1')", 0)
    assert client.get("a") is None
    other = fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())
    with other, pytest.raises(ResponseError, match="global variables: his"):
        other.eval("his = 1", 0)


def test_mistakes_are_told_at_each_run(client: fakeredis.FakeStrictRedis) -> None:
    for _ in range(2):
        with pytest.raises(ResponseError, match=r"error loading code: .* unexpected symbol"):
            client.eval("return +", 0)
        with pytest.raises(ResponseError, match="nothing there"):
            client.eval("error('nothing there')", 0)
