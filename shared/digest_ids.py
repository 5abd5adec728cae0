"""Ids made from a text by a hash: the same text always gives the same id."""

from __future__ import annotations

import hashlib

from shared.card_numbers import holds_card_number

# Letters for the sixteen hexadecimal digits, in their order.
LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")


def digest_id(prefix: str, text: str, length: int) -> str:
    """Make an id with the given number of hexadecimal digits from a text.

    One id in several thousand has digits that could be a card number, which would be refused in an
    address and masked in an event; such an id is written in letters.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:length]
    if holds_card_number(prefix + digest):
        digest = digest.translate(LETTERS)
    return prefix + digest
