"""Stripe's published test cards that always pay, by brand and by country.

A row has number, brand, funding, country, and the names after `pm_card_` and `tok_` for the card
(docs.stripe.com/testing; `-` if there is none).
"""

from typing import Final, NamedTuple

TABLE: Final = """
    4242424242424242     visa        credit   US  visa us
    4000056655665556     visa        debit    US  visa_debit
    5555555555554444     mastercard  credit   US  mastercard
    2223003122003222     mastercard  credit   US  -
    5200828282828210     mastercard  debit    US  mastercard_debit
    5105105105105100     mastercard  prepaid  US  mastercard_prepaid
    378282246310005      amex        credit   US  amex amex_threeDSecureNotSupported
    371449635398431      amex        credit   US  -
    6011111111111117     discover    credit   US  discover
    6011000990139424     discover    credit   US  -
    6011981111111113     discover    debit    US  -
    3056930009020004     diners      credit   US  diners
    36227206271667       diners      credit   US  -
    6555900000604105     discover    credit   US  -
    3566002020360505     jcb         credit   JP  jcb
    3530111333300000     jcb         credit   JP  -
    6200000000000005     unionpay    credit   CN  unionpay
    6200000000000047     unionpay    debit    CN  -
    6205500000000000004  unionpay    credit   CN  -
    4000002500001001     visa        credit   FR  visa_cartesBancaires
    5555552500001001     mastercard  credit   FR  mastercard_cartesBancaires
    4000050360000001     visa        debit    AU  visa_debit_eftposAuCoBranded
    5555050360000080     mastercard  debit    AU  mastercard_debit_eftposAuCoBranded
    4000051230000072     visa        debit    US  debit_visaFsaProductCode debit_visaHsaProductCode
    5200828282828897     mastercard  debit    US  mastercard_debit_mastercardFsaProductCode

    4000000320000021     visa        credit   AR  ar
    4000000760000002     visa        credit   BR  br
    4000001240000000     visa        credit   CA  ca
    4000001520000001     visa        credit   CL  cl
    4000001700000003     visa        credit   CO  co
    4000001880000005     visa        credit   CR  cr
    4000002180000000     visa        credit   EC  ec
    4000004840008001     visa        credit   MX  mx
    4000005910000000     visa        credit   PA  pa
    4000006000000066     visa        credit   PY  py
    4000006040000068     visa        credit   PE  pe
    4000008580000003     visa        credit   UY  uy

    4000007840000001     visa        credit   AE  ae
    5200007840000022     mastercard  credit   AE  ae_mastercard
    4000000400000008     visa        credit   AT  at
    4000000560000004     visa        credit   BE  be
    4000001000000000     visa        credit   BG  bg
    4000001120000005     visa        credit   BY  by
    4000001910000009     visa        credit   HR  hr
    4000001960000008     visa        credit   CY  cy
    4000002030000002     visa        credit   CZ  cz
    4000002080000001     visa        credit   DK  dk
    4000002330000009     visa        credit   EE  ee
    4000002460000001     visa        credit   FI  fi
    4000002500000003     visa        credit   FR  fr
    4000002760000016     visa        credit   DE  de
    4000002920000005     visa        credit   GI  gi
    4000003000000030     visa        credit   GR  gr
    4000003480000005     visa        credit   HU  hu
    4000003720000005     visa        credit   IE  ie
    4000003800000008     visa        credit   IT  it
    4000004280000005     visa        credit   LV  lv
    4000004380000004     visa        credit   LI  li
    4000004400000000     visa        credit   LT  lt
    4000004420000006     visa        credit   LU  lu
    4000004700000007     visa        credit   MT  mt
    4000005280000002     visa        credit   NL  nl
    4000005780000007     visa        credit   NO  no
    4000006160000005     visa        credit   PL  pl
    4000006200000007     visa        credit   PT  pt
    4000006420000001     visa        credit   RO  ro
    4000006820000007     visa        credit   SA  -
    4000007050000006     visa        credit   SI  si
    4000007030000001     visa        credit   SK  sk
    4000007240000007     visa        credit   ES  es
    4000007520000008     visa        credit   SE  se
    4000007560000009     visa        credit   CH  ch
    4000008260000000     visa        credit   GB  gb
    4000058260000005     visa        debit    GB  gb_debit
    5555558265554449     mastercard  credit   GB  gb_mastercard

    4000000360000006     visa        credit   AU  au
    4000001560000002     visa        credit   CN  cn
    4000003440000004     visa        credit   HK  hk
    4000003560000008     visa        credit   IN  in
    4000003920000003     visa        credit   JP  jp
    4000004580000002     visa        credit   MY  my
    4000005540000008     visa        credit   NZ  nz
    4000007020000003     visa        credit   SG  sg
    4000001580000008     visa        credit   TW  tw
    4000007640000003     visa        credit   TH  th_credit
    4000057640000008     visa        debit    TH  th_debit
"""

CO_BRANDS: Final = {
    "visa_cartesBancaires": "cartes_bancaires",
    "mastercard_cartesBancaires": "cartes_bancaires",
    "visa_debit_eftposAuCoBranded": "eftpos_australia",
    "mastercard_debit_eftposAuCoBranded": "eftpos_australia",
}
"""Second networks, by the first word of a row."""


class PayingCard(NamedTuple):
    """Hold one row; `names` may be empty."""

    number: str
    brand: str
    funding: str
    country: str
    names: tuple[str, ...]


def rows() -> list[PayingCard]:
    """Return the table."""
    cards = []
    for line in TABLE.split("\n"):
        if line.strip():
            number, brand, funding, country, *names = line.split()
            choices = () if names == ["-"] else tuple(names)
            cards.append(PayingCard(number, brand, funding, country, choices))
    return cards
