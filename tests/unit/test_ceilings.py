"""The refusal of refunds above a caller's limit."""

import pytest

from shared.work.ceilings import Ceiling, ceiling_reached

FITS_LATER = Ceiling("shop", "jpy", amount=600, ceiling=1000)
NEVER_FITS = Ceiling("shop", "sgd", amount=3000, ceiling=2500)


@pytest.mark.parametrize("ceilings", [[FITS_LATER, NEVER_FITS], [NEVER_FITS, FITS_LATER]])
def test_nobody_is_told_to_try_again_what_never_fits(ceilings: list[Ceiling]) -> None:
    refusal = ceiling_reached(ceilings, 1000)
    assert refusal.retry_after_seconds is None
    assert "2500 sgd" in refusal.detail


def test_whoever_may_try_again_is_told_when() -> None:
    assert ceiling_reached([FITS_LATER], 90_000).retry_after_seconds == 90
