"""The payment methods of Stripe that the sandbox does not simulate."""

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
"""Refuses the data of a method of another type: `payment_method_data[ideal]`."""
OPTIONS: Final[dict[str, Parser]] = not_simulated(NAMES, {}, "")
"""Refuses the options of another type: `payment_method_options[klarna]`."""


def any_type() -> Parser:
    """Accept every type of Stripe, for parameters that restrict the types."""
    return one_of(*PLAYED, "link", *NAMES.split())


def method_type() -> Parser:
    """Accept a simulated type; refuse Stripe's other types by name, and anything else."""

    def parser(value: Any, name: str) -> str:
        if value in PLAYED:
            return str(value)
        if value in NAMES.split():
            return str(NotSimulated()(value, f"{name}={value}"))
        raise errors.invalid(f"Invalid {name}: must be one of {', '.join(PLAYED)}", name)

    return parser
