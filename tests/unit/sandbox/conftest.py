from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.control import state
from sandbox.world.changes import Key
from tests.unit.sandbox.worlds import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Return a world; at the end of the test its journal must contain the same objects."""
    bench = Bench(tmp_path)
    yield bench
    bench.keeper.close()
    assert state.read(bench.path) == json_of(bench)


def json_of(bench: Bench) -> dict[Key, object]:
    return {key: json.loads(json.dumps(value)) for key, value in state.dump(bench.world).items()}
