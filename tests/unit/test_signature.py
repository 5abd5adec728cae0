"""Our check of a webhook's signature, compared with the SDK's."""

from __future__ import annotations

import time

import pytest
import stripe

from shared.stripe.signature import BadlySigned, read_signature

SECRET, OTHER = "whsec_of_the_endpoint", "whsec_of_another"
TOLERANCE_SECONDS = 300
BODY = '{"id": "evt_1", "note": "caf\u00e9"}'
NOW = 1_790_000_000


def signed(body: str = BODY, secret: str = SECRET, at: int = NOW) -> str:
    header: str = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    return header


GOOD = signed()
HASH = GOOD.rpartition("=")[2]
FORGED = signed(secret=OTHER).rpartition("=")[2]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock, so that the headers are current however late a test runs."""
    monkeypatch.setattr(time, "time", lambda: NOW)


def ours(header: str, body: str = BODY) -> bool:
    try:
        signature = read_signature(header, time.time() - TOLERANCE_SECONDS)
        signature.require(body.encode(), [SECRET.encode()])
    except BadlySigned:
        return False
    return True


def the_sdks(header: str, body: str = BODY) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, SECRET, TOLERANCE_SECONDS)
    except stripe.SignatureVerificationError:
        return False
    return True


@pytest.mark.parametrize(
    "header",
    [
        GOOD,
        f"v1={HASH},t={NOW}",
        f"t={NOW},v1={FORGED},v1={HASH},v0={HASH}",
        f"t={NOW},v0={FORGED},v1={HASH}",
        f"t={NOW},v1={FORGED}",
        f"t={NOW},v0={HASH}",
        f"t={NOW},v1={HASH[:-1]}",
        f"t={NOW},v1={HASH}0",
        f"t={NOW},v1={HASH.upper()}",
        f"t={NOW},v1=",
        f"t={NOW + 1},v1={HASH}",
        f"t={NOW},t={NOW + 1},v1={HASH}",
        f"t={NOW + 1},t={NOW},v1={HASH}",
        f"t=-{NOW},v1={HASH}",
        f"t=,v1={HASH}",
        f"xt={NOW},v1={HASH}",
        f"t={NOW},xv1={HASH}",
        f"v1={HASH}",
        f"t={NOW}",
        "",
        ",",
        "t=now,v1=all",
        signed(at=NOW - TOLERANCE_SECONDS - 5),
        signed(at=NOW - TOLERANCE_SECONDS + 60),
        signed(at=NOW + 3600),
        signed(body=BODY + " "),
        signed(secret=OTHER),
    ],
)
def test_the_sdk_accepts_what_we_accept(header: str) -> None:
    assert ours(header) == the_sdks(header)


def test_a_good_header_is_accepted() -> None:
    assert ours(GOOD)


def test_one_of_several_secrets_is_enough() -> None:
    signature = read_signature(GOOD, 0)
    signature.require(BODY.encode(), [OTHER.encode(), SECRET.encode()])
    with pytest.raises(BadlySigned):
        signature.require(BODY.encode(), [OTHER.encode()])
    with pytest.raises(BadlySigned):
        signature.require(BODY.encode(), [])


def test_a_header_longer_than_stripes_is_not_read() -> None:
    with pytest.raises(BadlySigned):
        read_signature(GOOD + ",v0=" + "0" * 1024, 0)
