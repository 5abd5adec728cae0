from __future__ import annotations

import pytest

from tests.unit.sandbox.worlds import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
