from __future__ import annotations

import pytest

from sandbox.cards.authorization import Setting, Verdict, decide
from sandbox.cards.test_data import CARDS, ThreeDS

ON, OFF = Setting(), Setting(off_session=True)
AUTHENTICATION = Setting(three_ds_requested=True)
SET_UP = Setting(off_session=True, set_up_before=True)
PASSED = Setting(authenticated=True)
A, C, D = Verdict.APPROVED, Verdict.CHALLENGED, Verdict.DECLINED


@pytest.mark.parametrize(
    ("card", "setting", "verdict"),
    [
        ("visa", ON, A),
        ("visa", OFF, A),
        ("visa", AUTHENTICATION, C),
        ("amex", AUTHENTICATION, A),
        ("threeDSecure2Required", ON, C),
        ("threeDSecure2Required", OFF, D),
        ("threeDSecure2Required", PASSED, A),
        ("authenticationRequiredOnSetup", ON, C),
        ("authenticationRequiredOnSetup", OFF, D),
        ("authenticationRequiredOnSetup", SET_UP, A),
        ("authenticationRequired", SET_UP, D),
        ("authenticationRequiredSetupForOffSession", ON, C),
        ("authenticationRequiredSetupForOffSession", OFF, A),
        ("authenticationRequiredChargeDeclinedInsufficientFunds", ON, C),
        ("authenticationRequiredChargeDeclinedInsufficientFunds", PASSED, D),
        ("threeDSecureRequiredChargeDeclined", PASSED, D),
        ("threeDSecureRequiredProcessingError", ON, D),
        ("threeDSecureOptional", ON, A),
        ("threeDSecureOptional", AUTHENTICATION, C),
        ("threeDSecureOptionalProcessingError", ON, A),
        ("threeDSecureOptionalProcessingError", AUTHENTICATION, A),
        ("chargeDeclinedIncorrectCvc", ON, D),
        ("chargeDeclinedIncorrectCvc", Setting(cvc_given=False), A),
        ("chargeCustomerFail", ON, D),
        ("radarBlock", ON, D),
    ],
)
def test_a_card_decides_as_its_page_says(card: str, setting: Setting, verdict: Verdict) -> None:
    assert decide(CARDS[card], setting).verdict is verdict


def challenged(setting: Setting) -> list[str]:
    """List the cards that are challenged in a setting."""
    return [key for key, card in CARDS.items() if decide(card, setting).verdict is C]


@pytest.mark.parametrize("set_up", [False, True])
def test_nobody_is_challenged_who_is_not_there(set_up: bool) -> None:
    setting = Setting(off_session=True, set_up_before=set_up, three_ds_requested=True)
    assert challenged(setting) == []


def test_a_challenge_passed_is_not_asked_again() -> None:
    assert challenged(AUTHENTICATION)
    assert challenged(PASSED) == []


def test_only_cards_that_know_3d_secure_are_challenged() -> None:
    for card in CARDS.values():
        if card.three_ds is ThreeDS.UNSUPPORTED:
            assert decide(card, AUTHENTICATION).verdict is not C
