"""Name the payment methods that Stripe has and the sandbox does not play."""

from typing import Any, Final

from sandbox.wire.params import NotSimulated, Parser, not_simulated, one_of
from sandbox.world import errors

PLAYED: Final = ("card", "sepa_debit")
NAMES: Final = """
    acss_debit affirm afterpay_clearpay alipay alma amazon_pay au_becs_debit bacs_debit bancontact
    billie bizum blik boleto card_present cashapp crypto custom customer_balance demo_pay eps fpx
    giropay grabpay ideal interac_present kakao_pay klarna konbini kr_card link mb_way mobilepay
    multibanco naver_pay nz_bank_account oxxo p24 pay_by_bank payco paynow paypal payto pix
    promptpay revolut_pay samsung_pay satispay scalapay sofort sunbit swish twint upi
    us_bank_account wechat_pay zip
"""

DETAILS: Final[dict[str, Parser]] = not_simulated(NAMES)
"""Refuses what describes a method of another type: `payment_method_data[ideal]`."""
OPTIONS: Final[dict[str, Parser]] = not_simulated(NAMES, {}, "")
"""Refuses what sets options of another type: `payment_method_options[klarna]`."""


def any_type() -> Parser:
    """Accept every type that Stripe has: what restricts types may name any."""
    return one_of(*PLAYED, "link", *NAMES.split())


def method_type() -> Parser:
    """Accept a played type; refuse Stripe's others by name, and what is none."""

    def parser(value: Any, name: str) -> str:
        if value in PLAYED:
            return str(value)
        if value in NAMES.split():
            return str(NotSimulated()(value, f"{name}={value}"))
        raise errors.invalid(f"Invalid {name}: must be one of {', '.join(PLAYED)}", name)

    return parser
