"""The reasons for which an issuer or Radar declines, with all that Stripe reports about each."""

from dataclasses import dataclass
from typing import Final

from sandbox.world.objects import Json

TRY_AGAIN: Final = "try_again_later"
DO_NOT_TRY_AGAIN: Final = "do_not_try_again"
CHECK_CARD_DATA: Final = "confirm_card_data"
NO_DETAILS: Final = "01"
"""The network's answer in test mode when it gives no further details."""
NETWORK_ADVICE: Final = {CHECK_CARD_DATA: "01", TRY_AGAIN: "02", DO_NOT_TRY_AGAIN: "03"}
"""The network's advice by Stripe's advice code (docs.stripe.com/declines/codes)."""


@dataclass(frozen=True)
class Decline:
    """Describe one reason for refusing a payment."""

    code: str
    decline_code: str
    message: str
    advice_code: str | None = TRY_AGAIN
    network_decline_code: str | None = NO_DETAILS
    blocked: bool = False
    param: str | None = None

    @property
    def network_advice_code(self) -> str | None:
        """The network's advice; None if the network was not asked or gave no details."""
        silent = self.network_decline_code in (None, NO_DETAILS)
        return None if silent else NETWORK_ADVICE.get(self.advice_code or "")

    def error_fields(self) -> Json:
        """Return the fields of a 402 about this decline, besides code and message."""
        return {
            "decline_code": self.decline_code,
            "advice_code": self.advice_code,
            "network_advice_code": self.network_advice_code,
            "network_decline_code": self.network_decline_code,
            "param": self.param,
        }

    def outcome(self) -> Json:
        """Return the `outcome` of the failed charge."""
        return {
            "advice_code": self.advice_code,
            "network_advice_code": self.network_advice_code,
            "network_decline_code": self.network_decline_code,
            "network_status": "not_sent_to_network" if self.blocked else "declined_by_network",
            "reason": "highest_risk_level" if self.blocked else self.decline_code,
            "risk_level": "highest" if self.blocked else "normal",
            "risk_score": 92 if self.blocked else 21,
            "seller_message": self._seller_message(),
            "type": "blocked" if self.blocked else "issuer_declined",
        }

    def _seller_message(self) -> str:
        if self.blocked:
            return "Stripe blocked this payment as too risky."
        if self.decline_code == "generic_decline":
            return "The bank did not return any further details with this decline."
        return f"The bank returned the decline code `{self.decline_code}`."


_DECLINED: Final = "Your card was declined."

GENERIC: Final = Decline("card_declined", "generic_decline", _DECLINED)
INSUFFICIENT_FUNDS: Final = Decline(
    "card_declined",
    "insufficient_funds",
    "Your card has insufficient funds.",
    network_decline_code="51",
)
LOST_CARD: Final = Decline("card_declined", "lost_card", _DECLINED, DO_NOT_TRY_AGAIN, "41")
STOLEN_CARD: Final = Decline("card_declined", "stolen_card", _DECLINED, DO_NOT_TRY_AGAIN, "43")
EXPIRED_CARD: Final = Decline(
    "expired_card",
    "expired_card",
    "Your card has expired.",
    CHECK_CARD_DATA,
    "54",
    param="exp_month",
)
INCORRECT_CVC: Final = Decline(
    "incorrect_cvc",
    "incorrect_cvc",
    "Your card's security code is incorrect.",
    CHECK_CARD_DATA,
    "N7",
    param="cvc",
)
PROCESSING_ERROR: Final = Decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
    network_decline_code="06",
)
VELOCITY_EXCEEDED: Final = Decline(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount "
    "limit.",
    network_decline_code="61",
)
RADAR_BLOCK: Final = Decline(
    "card_declined", "fraudulent", _DECLINED, DO_NOT_TRY_AGAIN, None, blocked=True
)
AUTHENTICATION_REQUIRED: Final = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    network_decline_code="1A",
)
NOT_A_TEST_CARD: Final = Decline(
    "card_declined",
    "test_mode_live_card",
    "Your card was declined. Your request was in test mode, but used a non test (live) card. "
    "For a list of valid test cards, visit: https://stripe.com/docs/testing.",
    None,
    None,
)
