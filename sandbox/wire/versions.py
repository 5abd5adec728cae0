"""Stripe's API versions, and the form of objects in each.

Objects are stored in the form of the account's default version (dahlia); endive adds fields and
refuses `payment_method_types`. Earlier versions get dahlia's form.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from sandbox.world import errors
from sandbox.world.objects import Json, copy_of

ACCOUNT_DEFAULT: Final = "2026-08-26.dahlia"
LATEST: Final = "2026-10-28.endive"
BASIL_BEGINS: Final = "2025-03-31"
"""The first version that releases held money without a Refund."""
ENDIVE_BEGINS: Final = "2026-09-30"

VERSIONS: Final = frozenset(
    """
    2011-01-01 2011-06-21 2011-06-28 2011-08-01 2011-09-15 2011-11-17 2012-02-23 2012-03-25
    2012-06-18 2012-06-28 2012-07-09 2012-09-24 2012-10-26 2012-11-07 2013-02-11 2013-02-13
    2013-07-05 2013-08-12 2013-08-13 2013-10-29 2013-12-03 2014-01-31 2014-03-13 2014-03-28
    2014-05-19 2014-06-13 2014-06-17 2014-07-22 2014-07-26 2014-08-04 2014-08-20 2014-09-08
    2014-10-07 2014-11-05 2014-11-20 2014-12-08 2014-12-17 2014-12-22 2015-01-11 2015-01-26
    2015-02-10 2015-02-16 2015-02-18 2015-03-24 2015-04-07 2015-06-15 2015-07-07 2015-07-13
    2015-07-28 2015-08-07 2015-08-19 2015-09-03 2015-09-08 2015-09-23 2015-10-01 2015-10-12
    2015-10-16 2016-02-03 2016-02-19 2016-02-22 2016-02-23 2016-02-29 2016-03-07 2016-06-15
    2016-07-06 2016-10-19 2017-01-27 2017-02-14 2017-04-06 2017-05-25 2017-06-05 2017-08-15
    2017-12-14 2018-01-23 2018-02-05 2018-02-06 2018-02-28 2018-05-21 2018-07-27 2018-08-23
    2018-09-06 2018-09-24 2018-10-31 2018-11-08 2019-02-11 2019-02-19 2019-03-14 2019-05-16
    2019-08-14 2019-09-09 2019-10-08 2019-10-17 2019-11-05 2019-12-03 2020-03-02 2020-08-27
    2022-08-01 2022-11-15 2023-08-16 2023-10-16 2024-04-10 2024-06-20 2024-09-30.acacia
    2024-10-28.acacia 2024-11-20.acacia 2024-12-18.acacia 2025-01-27.acacia 2025-02-24.acacia
    2025-03-31.basil 2025-04-30.basil 2025-05-28.basil 2025-06-30.basil 2025-07-30.basil
    2025-08-27.basil 2025-09-30.clover 2025-10-29.clover 2025-11-17.clover 2025-12-15.clover
    2026-01-28.clover 2026-02-25.clover 2026-03-25.dahlia 2026-04-22.dahlia 2026-05-27.dahlia
    2026-06-24.dahlia 2026-07-29.dahlia 2026-08-26.dahlia 2026-09-30.endive 2026-10-28.endive
    """.split()
)

BETA: Final = re.compile(r"[a-z0-9_]+=v\d+")

ENDIVE_FIELDS: Final[dict[str, Json]] = {
    "payment_intent": {
        "allowed_payment_method_types": None,
        "payment_record": None,
        "source": None,
    },
    "charge": {"source": None},
    "refund": {"customer": None, "customer_account": None, "payment_method": None},
    "dispute": {"intended_submission_method": None},
    "checkout.session": {"allowed_payment_method_types": None},
    "product": {"tax_details": None, "type": "service"},
}
"""Fields of endive's objects that dahlia's lack, with their values in the sandbox."""
ENDIVE_CARD_DETAILS: Final = {"electronic_commerce_indicator": None, "transaction_link_id": None}


def effective(header: str | None) -> str:
    """Return the version for a request. Raises Stripe's 400 for an unknown one.

    A beta after the version (`2026-08-26.dahlia; some_beta=v1`) is not simulated: the request gets
    the version itself, as at Stripe for an account without the beta.
    """
    if header is None:
        return ACCOUNT_DEFAULT
    version, _, betas = header.partition(";")
    well_formed = not betas or all(BETA.fullmatch(beta.strip()) for beta in betas.split(";"))
    if version.strip() in VERSIONS and well_formed:
        return version.strip()
    raise errors.invalid(f"Invalid Stripe API version: {header}")


def is_before_basil(version: str) -> bool:
    """Tell whether a version is older than 2025-03-31.basil."""
    return version[: len(BASIL_BEGINS)] < BASIL_BEGINS


def is_endive(version: str) -> bool:
    """Tell whether a version is endive or later."""
    return version[: len(ENDIVE_BEGINS)] >= ENDIVE_BEGINS


def in_version(value: Any, version: str) -> Any:
    """Return a copy of objects in the form of the version; events are the same in every version."""
    if isinstance(value, list):
        return [in_version(item, version) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("object") == "event":
        return copy_of(value)
    copied = {key: in_version(item, version) for key, item in value.items()}
    if is_endive(version):
        _add_endive_fields(copied)
    if is_before_basil(version):
        _in_older_words(copied)
    return copied


def _in_older_words(record: Json) -> None:
    """Use the reason `automatic` for a hold that expired, as versions before basil do."""
    if record.get("object") == "payment_intent" and record["cancellation_reason"] == "expired":
        record["cancellation_reason"] = "automatic"


def _add_endive_fields(record: Json) -> None:
    kind = str(record.get("object"))
    for key, default in ENDIVE_FIELDS.get(kind, {}).items():
        record.setdefault(key, default)
    if kind in ENDIVE_INSIDE:
        ENDIVE_INSIDE[kind](record)


def _inside_account(account: Json) -> None:
    if "deleted" in account:
        return
    account["business_profile"].setdefault("specified_commercial_transactions_act_url", None)
    for script in ("kana", "kanji"):
        account["settings"]["payments"].setdefault(f"statement_descriptor_prefix_{script}", None)


def _inside_charge(charge: Json) -> None:
    card = (charge.get("payment_method_details") or {}).get("card")
    if card is not None:
        for key, default in ENDIVE_CARD_DETAILS.items():
            card.setdefault(key, default)


def _inside_dispute(dispute: Json) -> None:
    submitted = dispute["evidence_details"]["submission_count"] > 0
    method = "manual" if submitted else "not_submitted"
    dispute["evidence_details"].setdefault("submission_method", method)
    card = dispute["payment_method_details"].get("card")
    if card is not None:
        card.setdefault("network", card["brand"])


def _inside_intent(intent: Json) -> None:
    link = (intent.get("payment_method_options") or {}).get("link")
    if link is not None:
        link.setdefault("persistent_token", None)


ENDIVE_INSIDE: Final[dict[str, Callable[[Json], None]]] = {
    "account": _inside_account,
    "charge": _inside_charge,
    "dispute": _inside_dispute,
    "payment_intent": _inside_intent,
}
