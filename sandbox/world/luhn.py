"""Check the last digit of a card number."""

DIGITS_IN_BASE = 10


def is_luhn_valid(digits: str) -> bool:
    """Tell whether the digits satisfy the Luhn check (ISO/IEC 7812-1)."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = int(character) * (1 + position % 2)
        total += value // DIGITS_IN_BASE + value % DIGITS_IN_BASE
    return total % DIGITS_IN_BASE == 0
