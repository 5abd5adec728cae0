"""Card numbers in text: every spelling is found, and similar numbers are not."""

from __future__ import annotations

import base64
import gc
import random
import string
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.card_numbers import (
    REDACTED,
    card_number_spans,
    holds_card_number,
    passes_luhn,
    redact_card_numbers,
)

# Published test numbers with each issuer's range, length and check digit; they are no cards.
NUMBERS = """
4242424242424242 4000056655665556 4000000000003220 4111111111111111 4000000000000000006
5555555555554444 5200828282828210 5105105105105100 2223003122003222 2221000000000009
2720990000000007 378282246310005 371449635398431 6011111111111117 6011000990139424
6011981111111113 6500000000000002 3056930009020004 30569309025904 38520000023237
36227206271667 3566002020360505 3530111333300000 6200000000000005 6200000000000047
6205500000000000004 6304000000000000 6759649826438453 5018000000000009 2200000000000004
""".split()


def grouped(number: str, gap: str) -> str:
    """Group the digits of a number as on a card."""
    if len(number) in (14, 15):
        return gap.join((number[:4], number[4:10], number[10:]))
    return gap.join(number[place : place + 4] for place in range(0, len(number), 4))


def halved(number: str) -> str:
    return f"{number[:6]} {number[6:]}"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "digits": str,
    "spaces": lambda n: grouped(n, " "),
    "dashes": lambda n: grouped(n, "-"),
    "dots": lambda n: grouped(n, "."),
    "underscores": lambda n: grouped(n, "_"),
    "slashes": lambda n: grouped(n, "/"),
    "colons": lambda n: grouped(n, ":"),
    "hard spaces": lambda n: grouped(n, "\u00a0"),
    "wide gaps": lambda n: grouped(n, "  "),
    "lines": lambda n: grouped(n, "\r\n"),
    "entities": lambda n: grouped(n, "&nbsp;"),
    "cells": lambda n: grouped(n, "</td><td>"),
    "letters between": lambda n: grouped(n, "x"),
    "mixed": lambda n: grouped(n, " ").replace(" ", "-", 1),
    "unequal halves": halved,
    "unequal parts": lambda n: f"{n[:4]}-{n[4:8]} {n[8:]}",
    "percent signs": lambda n: grouped(n, "%20"),
    "each digit": " ".join,
    "each digit, dashed": "-".join,
    "without width": "\u200b".join,
    "full width": lambda n: n.translate({ord(d): 0xFF10 + int(d) for d in string.digits}),
    "Arabic": lambda n: n.translate({ord(d): 0x0660 + int(d) for d in string.digits}),
    "expiry and code": lambda n: f"{n} 12/34 123",
    "expiry, dashed": lambda n: f"{n}-12/34-123",
    "expiry, grouped": lambda n: f"{grouped(n, ' ')} 12/34 1234",
    "brand before": lambda n: f"Visa{n}",
    "currency after": lambda n: f"{n}EUR",
    "as an id": lambda n: f"pi_{n}",
    "prefixed": lambda n: f"pan-{n}",
    "in a query": lambda n: f"https://shop.test/?a=1&number={n}&b=2",
    "track 2": lambda n: f";{n}=25121011000",
    "in a sentence": lambda n: f"my card, {grouped(n, ' ')}, does not work",
    "after a list number": lambda n: f"2. {grouped(n, ' ')}",
    "in JSON": lambda n: f'{{"a": {n}, "b": 1}}',
}
GLUED = [
    "42424242424242421234",
    "4242424242424242123",
    "42424242424242421234123",
    "4242424242424242122034",
    "3782822463100051234",
    "55555555555544443412",
]
# Lengths of ordinary numbers: they count as card numbers only with a word beside them.
EVIDENT = [
    "4222222222222",
    "4222 222 222 222",
    "card 4000000000006",
    "4000000000006 12/34",
    "4000000000006, cvc 123",
    "maestro 501800000009",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_card_number_is_found_however_it_is_written(spelling: str) -> None:
    missed = [n for n in NUMBERS if not holds_card_number(SPELLINGS[spelling](n))]
    assert not missed
    assert len(NUMBERS) * len(SPELLINGS) > 200


@pytest.mark.parametrize("text", GLUED + EVIDENT)
def test_what_stands_beside_a_number_is_evidence(text: str) -> None:
    assert holds_card_number(text)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_wrong_check_digit_makes_it_an_ordinary_number(number: str) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert not passes_luhn(wrong)
    assert not any(holds_card_number(write(wrong)) for write in SPELLINGS.values())


SEED = 20261126
dice = random.Random()
LETTERS = string.ascii_letters + string.digits


@pytest.fixture(autouse=True)
def _same_dice() -> None:
    dice.seed(SEED)


def digits(count: int) -> str:
    return "".join(dice.choices(string.digits, k=count))


def moment() -> datetime:
    return datetime.fromtimestamp(dice.uniform(1.5e9, 2e9), UTC)


def ean13() -> str:
    """Build an article number with its check digit (weights 1 and 3)."""
    body = digits(12)
    total = sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(body))
    return body + str(-total % 10)


def imei() -> str:
    body = "35" + digits(12)
    return next(body + d for d in string.digits if passes_luhn(body + d))


def phone() -> str:
    country = dice.choice(["1", "7", "30", "34", "36", "39", "44", "49", "52", "55", "62", "65"])
    forms = ["+{} {} {} {}", "+{}{}{}{}", "00{} {}-{}-{}", "+{} ({}) {}-{}"]
    return dice.choice(forms).format(country, digits(3), digits(3), digits(dice.randint(3, 5)))


ORDINARY: dict[str, Callable[[], str]] = {
    "order number of 10 digits": lambda: digits(10),
    "order number of 12 digits": lambda: digits(12),
    "order number of 13 digits": lambda: str(dice.randrange(10**12, 10**13)),
    "order number with a prefix": lambda: f"ORD-{digits(6)}-{moment():%Y%m%d}-{digits(2)}",
    "order number with a date": lambda: f"{digits(6)}-{moment():%Y%m%d}-{digits(2)}",
    "time in seconds": lambda: str(int(moment().timestamp())),
    "time in milliseconds": lambda: str(int(moment().timestamp() * 1e3)),
    "time in microseconds": lambda: str(int(moment().timestamp() * 1e6)),
    "time in nanoseconds": lambda: str(int(moment().timestamp() * 1e9)),
    "time": lambda: moment().isoformat(),
    "time without separators": lambda: moment().strftime("%Y%m%d%H%M%S"),
    "UUID": lambda: str(uuid.UUID(int=dice.getrandbits(128), version=4)),
    "EAN": ean13,
    "UPC": lambda: ean13()[1:],
    "IMEI": imei,
    "phone number": phone,
    "Stripe's id": lambda: f"pi_3{''.join(dice.choices(LETTERS, k=23))}",
    "Stripe's charge": lambda: f"ch_{''.join(dice.choices(LETTERS, k=24))}",
    "ticket": lambda: f"TCK-{moment():%Y}-{digits(6)}-{digits(4)}",
    "ticket in groups": lambda: f"{digits(4)}-{digits(4)}-{digits(4)}",
    "ticket of letters": lambda: "-".join(
        "".join(dice.choices(string.ascii_uppercase + string.digits, k=4)) for _ in range(4)
    ),
    "fraction": lambda: repr(dice.uniform(0, 100)),
    "coordinates": lambda: f"{dice.uniform(-90, 90)}, {dice.uniform(-180, 180)}",
    "hash": lambda: f"{dice.getrandbits(160):040x}",
    "IPv6": lambda: ":".join(f"{dice.getrandbits(16):04x}" for _ in range(8)),
    "token": lambda: base64.b64encode(dice.randbytes(24)).decode(),
    "seats": lambda: ", ".join(str(4000 + dice.randrange(999)) for _ in range(5)),
}
OF_EACH = 400
MOST_OF_A_THOUSAND = 1


def test_ids_of_usual_shapes_pass() -> None:
    corpus = [(shape, make()) for shape, make in ORDINARY.items() for _ in range(OF_EACH)]
    refusals = [entry for entry in corpus if holds_card_number(entry[1])]
    assert len(corpus) >= 10_000
    assert len(refusals) * 1000 <= MOST_OF_A_THOUSAND * len(corpus), refusals


@pytest.mark.parametrize("shape", ORDINARY)
def test_no_usual_shape_is_refused_more_than_now_and_then(shape: str) -> None:
    corpus = [ORDINARY[shape]() for _ in range(4000)]
    refusals = [text for text in corpus if holds_card_number(text)]
    assert len(refusals) * 1000 <= MOST_OF_A_THOUSAND * len(corpus), refusals


def test_only_the_number_is_blackened() -> None:
    text = "order 12: 4242 4242 4242 4242, 3782 822463 10005; ref pi_3Abc, 1795394170121"
    blackened = f"order 12: {REDACTED}, {REDACTED}; ref pi_3Abc, 1795394170121"
    assert redact_card_numbers(text) == blackened
    assert [text[slice(*span)] for span in card_number_spans(text)] == [
        "4242 4242 4242 4242",
        "3782 822463 10005",
    ]


HOSTILE = [
    "4",
    "4 ",
    "4242 ",
    "4242,",
    "42-",
    "424 ",
    "4242424242424 ",
    "4 24 242 4242 ",
    "4é",
    "é",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_four_times_the_text_takes_about_four_times_the_time(pattern: str) -> None:
    """With quadratic time it would be sixteen times, and minutes for a megabyte."""

    def seconds(length: int) -> float:
        text = (pattern * length)[:length]
        tries = []
        gc.disable()  # garbage collection may fall into either measurement
        for _ in range(5):
            started_at = time.process_time()
            holds_card_number(text)
            tries.append(time.process_time() - started_at)
        gc.enable()
        return min(tries)

    assert seconds(20_000) < 12 * seconds(5_000) + 0.01
