"""Ids made from what they stand for: the same parts give the same id for ever."""

from __future__ import annotations

import hashlib

from shared.card_numbers import holds_card_number

# Of the sixteen hexadecimal digits, in their order.
LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")


def digest_id(prefix: str, text: str, length: int) -> str:
    """Make an id of so many hexadecimal digits from a text.

    Of several thousand one has digits that could be a card's number, which would be refused in an
    address and masked in an event; it is spelled in letters.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:length]
    if holds_card_number(prefix + digest):
        digest = digest.translate(LETTERS)
    return prefix + digest
