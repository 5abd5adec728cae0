"""Stripe's published test cards, tokens and IBANs, and the behaviour of each.

Card numbers occur only here; they are those of Stripe's documentation. A number in a request is
looked up and dropped, and all other code identifies a card by its `key`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from sandbox.cards import declines
from sandbox.cards.declines import Decline
from sandbox.cards.paying_cards import CO_BRANDS, PayingCard, rows


class ThreeDS(Enum):
    """When a card requires its holder to authenticate."""

    UNSUPPORTED = "unsupported"
    OPTIONAL = "optional"
    """Only if the payment requests it."""
    ON_SESSION = "on_session"
    """Always on session, never off session."""
    UNLESS_SET_UP = "unless_set_up"
    """Always, except off session with a card that was set up before."""
    ALWAYS = "always"


class DisputeKind(Enum):
    """How the holder disputes a payment."""

    CHARGEBACK = "chargeback"
    INQUIRY = "inquiry"
    NOT_RECEIVED = "product_not_received"
    MULTIPLE = "multiple"
    FRAUD_WARNING = "fraud_warning"


class RefundCourse(Enum):
    """How a refund to this card ends."""

    PENDING = "pending"
    FAILS = "fails"


@dataclass(frozen=True)
class TestCard:
    """Describe one of Stripe's test cards."""

    __test__ = False  # pytest would take it for a test class

    key: str
    number: str
    aliases: tuple[str, ...] = ()
    brand: str = "visa"
    funding: str = "credit"
    decline: Decline | None = None
    attach_declines: bool = True
    three_ds: ThreeDS = ThreeDS.OPTIONAL
    decline_after_3ds: Decline | None = None
    lookup_fails: bool = False
    dispute: DisputeKind | None = None
    refund: RefundCourse | None = None
    available_at_once: bool = False
    cvc_check: str = "pass"
    line1_check: str = "pass"
    postal_code_check: str = "pass"
    country: str = "US"
    second_network: str | None = None
    elevated_risk: bool = False
    simulated: bool = True

    @property
    def last4(self) -> str:
        """The last four digits, which may be shown."""
        return self.number[-4:]


def _declining_card(key: str, number: str, decline: Decline, *aliases: str) -> TestCard:
    return TestCard(key, number, aliases, decline=decline)


def _paying(row: PayingCard) -> TestCard:
    """Return the card of a row; without a name, its key is its brand and last digits."""
    key, *aliases = row.names or (f"{row.brand}_{row.number[-4:]}",)
    return TestCard(
        key,
        row.number,
        tuple(aliases),
        brand=row.brand,
        funding=row.funding,
        country=row.country,
        three_ds=ThreeDS.UNSUPPORTED if row.brand == "amex" else ThreeDS.OPTIONAL,
        second_network=CO_BRANDS.get(key),
    )


_CARDS: Final = (
    *(_paying(row) for row in rows()),
    TestCard("bypassPending", "4000000000000077", available_at_once=True),
    TestCard(
        "bypassPendingInternational", "4000003720000278", country="IE", available_at_once=True
    ),
    _declining_card("chargeDeclined", "4000000000000002", declines.GENERIC, "visa_chargeDeclined"),
    _declining_card(
        "chargeDeclinedInsufficientFunds",
        "4000000000009995",
        declines.INSUFFICIENT_FUNDS,
        "visa_chargeDeclinedInsufficientFunds",
    ),
    _declining_card(
        "chargeDeclinedLostCard",
        "4000000000009987",
        declines.LOST_CARD,
        "visa_chargeDeclinedLostCard",
    ),
    _declining_card(
        "chargeDeclinedStolenCard",
        "4000000000009979",
        declines.STOLEN_CARD,
        "visa_chargeDeclinedStolenCard",
    ),
    _declining_card("chargeDeclinedExpiredCard", "4000000000000069", declines.EXPIRED_CARD),
    _declining_card("chargeDeclinedIncorrectCvc", "4000000000000127", declines.INCORRECT_CVC),
    _declining_card("chargeDeclinedProcessingError", "4000000000000119", declines.PROCESSING_ERROR),
    _declining_card(
        "chargeDeclinedVelocityLimitExceeded",
        "4000000000006975",
        declines.VELOCITY_EXCEEDED,
        "visa_chargeDeclinedVelocityLimitExceeded",
    ),
    TestCard(
        "chargeCustomerFail", "4000000000000341", decline=declines.GENERIC, attach_declines=False
    ),
    TestCard(
        "visa_chargeCustomerFailLostCard",
        "4000000000000341",
        decline=declines.LOST_CARD,
        attach_declines=False,
    ),
    TestCard(
        "visa_chargeCustomerFailStolenCard",
        "4000000000000341",
        decline=declines.STOLEN_CARD,
        attach_declines=False,
    ),
    TestCard(
        "radarBlock",
        "4100000000000019",
        ("chargeDeclinedFraudulent",),
        decline=declines.RADAR_BLOCK,
        attach_declines=False,
    ),
    TestCard(
        "riskLevelHighest",
        "4000000000004954",
        decline=declines.RADAR_BLOCK,
        attach_declines=False,
    ),
    TestCard("riskLevelElevated", "4000000000009235", elevated_risk=True),
    TestCard("cvcCheckFail", "4000000000000101", cvc_check="fail"),
    TestCard("cvcCheckFailElevatedRisk", "4000058400307872", cvc_check="fail", elevated_risk=True),
    TestCard("avsZipFail", "4000000000000036", postal_code_check="fail"),
    TestCard(
        "avsZipFailElevatedRisk",
        "4000058400306072",
        postal_code_check="fail",
        elevated_risk=True,
    ),
    TestCard("avsLine1Fail", "4000000000000028", line1_check="fail"),
    TestCard("avsFail", "4000000000000010", line1_check="fail", postal_code_check="fail"),
    TestCard(
        "avsUnchecked",
        "4000000000000044",
        line1_check="unavailable",
        postal_code_check="unavailable",
    ),
    TestCard("highFraudDisputeScore", "4000008400000407"),
    TestCard("highEfwScore", "4000008400000159"),
    TestCard("radarDynamicRiskThreshold", "4000008400001017"),
    TestCard("freeTrialAbuseBlock", "4001858821843804"),
    TestCard("adaptive3dsChallenge", "4000008405600003"),
    TestCard("captchaChallenge", "4000000000001208"),
    TestCard("captchaChallenge_3725", "4000000000003725"),
    TestCard("threeDSecure2Required", "4000000000003220", three_ds=ThreeDS.ALWAYS),
    TestCard("threeDSecureRequired", "4000000000003063", three_ds=ThreeDS.ALWAYS),
    TestCard("challengeOutOfBand", "4000582600000094", three_ds=ThreeDS.ALWAYS),
    TestCard("challengeOneTimePasscode", "4000582600000045", three_ds=ThreeDS.ALWAYS),
    TestCard("challengeSingleSelect", "4000582600000102", three_ds=ThreeDS.ALWAYS),
    TestCard("challengeMultiSelect", "4000582600000110", three_ds=ThreeDS.ALWAYS),
    TestCard("authenticationRequiredOnSetup", "4000002500003155", three_ds=ThreeDS.UNLESS_SET_UP),
    TestCard("authenticationRequired", "4000002760003184", three_ds=ThreeDS.ALWAYS),
    TestCard(
        "authenticationRequiredSetupForOffSession",
        "4000003800000446",
        three_ds=ThreeDS.ON_SESSION,
    ),
    TestCard(
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        three_ds=ThreeDS.ALWAYS,
        decline_after_3ds=declines.INSUFFICIENT_FUNDS,
    ),
    TestCard(
        "threeDSecureRequiredChargeDeclined",
        "4000008400001629",
        three_ds=ThreeDS.ALWAYS,
        decline_after_3ds=declines.GENERIC,
    ),
    TestCard(
        "threeDSecureRequiredProcessingError",
        "4000008400001280",
        three_ds=ThreeDS.ALWAYS,
        lookup_fails=True,
    ),
    TestCard("threeDSecureOptional", "4000000000003055"),
    TestCard("threeDSecureOptionalProcessingError", "4000000000003097", lookup_fails=True),
    TestCard(
        "createDispute",
        "4000000000000259",
        ("visa_createDispute",),
        dispute=DisputeKind.CHARGEBACK,
    ),
    TestCard(
        "createDisputeProductNotReceived", "4000000000002685", dispute=DisputeKind.NOT_RECEIVED
    ),
    TestCard("createDisputeInquiry", "4000000000001976", dispute=DisputeKind.INQUIRY),
    TestCard("createIssuerFraudRecord", "4000000000005423", dispute=DisputeKind.FRAUD_WARNING),
    TestCard("createMultipleDisputes", "4000000404000079", dispute=DisputeKind.MULTIPLE),
    *(
        TestCard(key, number, simulated=False)
        for key, number in (
            ("createCe3EligibleDispute", "4000000404000038"),
            ("createComplianceDispute", "4000008400000779"),
            ("createMastercardComplianceDispute", "5105008400000002"),
            ("createAutoRepresentmentEligibleDispute", "4000000001000043"),
        )
    ),
    TestCard("pendingRefund", "4000000000007726", refund=RefundCourse.PENDING),
    TestCard("refundFail", "4000000000005126", refund=RefundCourse.FAILS),
)

CARDS: Final = {card.key: card for card in _CARDS}
BY_NUMBER: Final = {card.number: card for card in reversed(_CARDS)}
"""The cards of the table by number; two others have only tokens."""
BY_ALIAS: Final = {alias: card for card in _CARDS for alias in (card.key, *card.aliases)}


def card_by_payment_method_id(payment_method: str) -> TestCard | None:
    """Return the card behind Stripe's ready-made `pm_card_…` ids."""
    return BY_ALIAS.get(payment_method.removeprefix("pm_card_"))


def card_by_token(token: str) -> TestCard | None:
    """Return the card behind Stripe's ready-made `tok_…` tokens."""
    return BY_ALIAS.get(token.removeprefix("tok_"))


SOON_SECONDS: Final = 2.0
"""Seconds. Duration of an ordinary test debit, which takes a bank days."""
DELAYED_SECONDS: Final = 180.0
"""Stripe's delayed test IBANs take three minutes."""


@dataclass(frozen=True)
class TestIban:
    """Describe one of Stripe's test IBANs."""

    __test__ = False  # pytest would take it for a test class

    succeeds: bool
    delay_seconds: float


IBANS: Final = {
    "AT611904300234573201": TestIban(True, SOON_SECONDS),
    "AT861904300235473202": TestIban(False, SOON_SECONDS),
    "AT321904300235473204": TestIban(True, DELAYED_SECONDS),
    "AT051904300235473205": TestIban(False, DELAYED_SECONDS),
    "IT60X0542811101000000123456": TestIban(False, SOON_SECONDS),
}
