"""Decide about a card payment as its issuer would. Pure functions."""

from dataclasses import dataclass
from enum import Enum

from sandbox.cards import declines
from sandbox.cards.declines import Decline
from sandbox.cards.test_data import TestCard, ThreeDS


class Verdict(Enum):
    """The three decisions of an issuer."""

    APPROVED = "approved"
    CHALLENGED = "challenged"
    DECLINED = "declined"


@dataclass(frozen=True)
class Setting:
    """Describe the circumstances of a payment."""

    off_session: bool = False
    three_ds_requested: bool = False
    set_up_before: bool = False
    authenticated: bool = False
    cvc_given: bool = True


@dataclass(frozen=True)
class Decision:
    """The verdict, the reason for a decline, and the result of 3D Secure."""

    verdict: Verdict
    decline: Decline | None = None
    three_ds_result: str | None = None


def decide(card: TestCard, setting: Setting) -> Decision:
    """Return the decision of this card's issuer in these circumstances."""
    if setting.authenticated:
        return _answer(card.decline_after_3ds, "authenticated")
    if card.decline is not None and not _forgiven(card.decline, setting):
        return _answer(card.decline)
    if not _wants_authentication(card, setting):
        return _answer(None)
    if card.lookup_fails:
        failed = declines.GENERIC if card.three_ds is ThreeDS.ALWAYS else None
        return _answer(failed, "processing_error")
    if setting.off_session:
        return _answer(declines.AUTHENTICATION_REQUIRED)
    return Decision(Verdict.CHALLENGED)


def _answer(decline: Decline | None, three_ds_result: str | None = None) -> Decision:
    verdict = Verdict.APPROVED if decline is None else Verdict.DECLINED
    return Decision(verdict, decline, three_ds_result)


def _forgiven(decline: Decline, setting: Setting) -> bool:
    """Say whether a decline for a wrong security code does not apply, because none was given."""
    return decline is declines.INCORRECT_CVC and not setting.cvc_given


def _wants_authentication(card: TestCard, setting: Setting) -> bool:
    if card.three_ds is ThreeDS.OPTIONAL:
        return setting.three_ds_requested and not setting.off_session
    if card.three_ds is ThreeDS.ON_SESSION:
        return not setting.off_session
    if card.three_ds is ThreeDS.UNLESS_SET_UP:
        return not (setting.off_session and setting.set_up_before)
    return card.three_ds is ThreeDS.ALWAYS
