"""Find card numbers in text, for the API, the logs and texts from outside.

Several signs together make a number a card number: an issuer's range with a length that this issuer
uses, the check digit of ISO/IEC 7812-1 (Luhn), and the way it is written. Digits grouped as on a
card count with any separators; digits in a row count when the issuer's length is not also that of
ordinary numbers (order numbers, EANs and phone numbers have 12 or 13 digits); a rare length counts
with an expiry date, a code or a word such as "card" beside it.

Ranges: ISO/IEC 7812 issuer identification numbers as the schemes publish them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple
from urllib.parse import unquote

REDACTED = "[redacted]"
SHORTEST, LONGEST = 12, 19  # digits of a card number
# Digits further apart than this do not belong together. "&nbsp;" has 6 characters, "</td><td>" 9.
WIDEST_GAP = 9
WIDEST_PUNCTUATION = 3
# A run of digits is one pattern without alternatives: it is found in one pass over any text.
DIGITS = re.compile("[0-9]+")
# A text in which every digit is "0" and all else a space: most texts hold no cluster of enough
# digits, and to see that costs a seventh of what it costs to look at each run of them.
DIGIT_OR_NOT = bytes(ord("0") if chr(byte) in "0123456789" else ord(" ") for byte in range(256))
CLUSTER = re.compile(rb"0(?: {0,%d}+0){%d,}+" % (WIDEST_GAP, SHORTEST - 1))
# A number in groups has no letter between them, or twice the same text, or two long groups. The
# digits of an id have nothing of this, and are most of what stands close together in JSON.
IN_GROUPS = re.compile(
    f"(?:[0-9][^0-9A-Za-z]{{0,{WIDEST_GAP}}}+){{{SHORTEST}}}"
    f"|[0-9]([^0-9]{{1,{WIDEST_GAP}}}+)[0-9]++\\1[0-9]"
    f"|[0-9]{{6}}[^0-9]{{1,{WIDEST_GAP}}}+[0-9]{{6}}"
)
TWO = 2  # groups
FIRST_DIGITS = frozenset("234568")
PREFIX_DIGITS = 6  # as many as the narrowest range needs


@dataclass(frozen=True)
class Issuer:
    """Lengths of an issuer's numbers: those that are evidence by themselves, and rare ones."""

    usual: frozenset[int]
    rare: frozenset[int] = frozenset()


def _issuer(usual: str, rare: str = "") -> Issuer:
    return Issuer(*(frozenset(map(int, lengths.split())) for lengths in (usual, rare)))


VISA = _issuer("16 19", "13")
MASTERCARD = _issuer("16")
AMEX = _issuer("15")
DINERS = _issuer("14 16 17 18 19", "15")
JCB = DISCOVER = UNIONPAY = MIR = _issuer("16 17 18 19")
MAESTRO = _issuer("16 18 19", "12 13 14 15 17")
# Each range by its first and last digits; RuPay, Elo and Verve lie inside these.
RANGES = sorted(
    (int(first.ljust(PREFIX_DIGITS, "0")), int(last.ljust(PREFIX_DIGITS, "9")), issuer)
    for issuer, ranges in (
        (MIR, "2200-2204"),
        (MASTERCARD, "2221-2720 51-55"),
        (DINERS, "300-305 3095-3095 36-36 38-39"),
        (AMEX, "34-34 37-37"),
        (JCB, "3528-3589"),
        (VISA, "4-4"),
        (MAESTRO, "50-50 56-600 602-61 63-643 66-69"),
        (DISCOVER, "601-601 644-65"),
        (UNIONPAY, "62-62 81-81"),
    )
    for first, last in (pair.split("-") for pair in ranges.split())
)
STARTS = [first for first, _, _ in RANGES]
# The one number of 13 digits that test data still carry.
PUBLISHED = frozenset({"4222222222222"})

PRINTED_SIZE = 4  # digits of a card's printed group
JOINING = frozenset({"Zs", "Pd", "Cf"})  # Unicode's spaces, dashes, and characters without width
# How cards are printed, beside groups of one size: Amex, Diners, UnionPay, Maestro, Visa of 13.
PRINTED = frozenset(
    {(4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 13), (4, 4, 5), (4, 3, 3, 3), (8, 8), (4, 4, 4, 2)}
)
BESIDE_WORDS = frozenset(
    "amex card cc ccnum cvc cvv diners discover exp expires expiry jcb karte kreditkarte maestro "
    "mastercard pan unionpay valid visa".split()
)
BESIDE_CHARACTERS = 24  # how far a word or an expiry date may stand off
EXPIRY = re.compile(r"\W{0,3}(?:exp\w{0,6}\W{0,3})?(?:0[1-9]|1[0-2])\W{0,3}(?:20)?[2-4]\d(?!\d)")
# A day of the years 2000 to 2035, as order numbers carry it.
DATE = re.compile(r"20(?:[0-2]\d|3[0-5])(?:0[1-9]|1[0-2])[0-3]\d")
# What follows a number without a gap: expiry month and year, a code, or both; either year's length.
GLUED = re.compile(
    r"\d{3}|(?:0[1-9]|1[0-2])(?:20)?[2-4]\d(?:\d{3,4})?|[2-4]\d(?:0[1-9]|1[0-2])(?:\d{3,4})?"
)


class Group(NamedTuple):
    """A run of digits, and where it stands."""

    digits: str
    start: int
    end: int


def holds_card_number(text: str) -> bool:
    """Say whether the text very probably has a raw card number, however it is written."""
    forms = (text, unquote(text)) if "%" in text else (text,)
    return any(next(card_number_spans(form), None) for form in forms)


def redact_card_numbers(text: str, replacement: str = REDACTED) -> str:
    """Replace every card number in a text, and keep all other characters."""
    parts, rest = [], 0
    for start, end in card_number_spans(text):
        if start >= rest:
            parts += [text[rest:start], replacement]
            rest = end
    return "".join([*parts, text[rest:]]) if parts else text


def clean_json(value: Any) -> Any:
    """Return a JSON value whose texts hold no card number; names of members are texts, too."""
    if isinstance(value, str):
        return redact_card_numbers(value) if len(value) >= SHORTEST else value
    if isinstance(value, list):
        return [clean_json(item) for item in value]
    if isinstance(value, dict):
        return {clean_json(name): clean_json(member) for name, member in value.items()}
    return value


def clean_json_text(text: str) -> str:
    """Return a JSON document without card numbers; the same text when it has none."""
    return json.dumps(clean_json(json.loads(text))) if holds_card_number(text) else text


def card_number_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the positions of card numbers, first to last; takes linear time."""
    plain = _with_ascii_digits(text)
    for groups in _clusters(plain):
        cluster = Cluster(plain, groups)
        for first in range(len(groups)):
            last = cluster.card_from(first)
            if last is not None:
                yield groups[first].start, groups[last].end


def passes_luhn(digits: str) -> bool:
    """Say whether a digit string has a card number's check digit (ISO/IEC 7812-1)."""
    doubled = sum(_DOUBLED[digit] for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


_DOUBLED = {str(digit): sum(divmod(2 * digit, 10)) for digit in range(10)}


def issuer_of(digits: str) -> Issuer | None:
    """Find the issuer whose range has a number, by its first six digits."""
    prefix = int(digits[:PREFIX_DIGITS].ljust(PREFIX_DIGITS, "0"))
    first, last, issuer = RANGES[max(bisect_right(STARTS, prefix) - 1, 0)]
    return issuer if first <= prefix <= last else None


def _with_ascii_digits(text: str) -> str:
    """Write every character that means a digit (full-width, Arabic, circled, …) as that digit."""
    if text.isascii():
        return text
    digits = {
        ord(character): str(unicodedata.digit(character))
        for character in set(text)
        if not character.isascii() and unicodedata.digit(character, None) is not None
    }
    return text.translate(digits)


class Cluster:
    """Runs of digits that stand close together in a text."""

    def __init__(self, text: str, groups: list[Group]) -> None:
        self._text = text
        self._groups = groups
        self._digits = "".join(group.digits for group in groups)
        self._places = list(accumulate((len(group.digits) for group in groups), initial=0))

    def card_from(self, first: int) -> int | None:
        """Return the last group of the card number that begins with this group, if one does."""
        digits, start = self._groups[first].digits, self._places[first]
        if digits[0] not in FIRST_DIGITS:
            return None
        issuer = issuer_of(self._digits[start : start + PREFIX_DIGITS])
        if issuer is None:
            return None
        if len(digits) >= SHORTEST and self._is_card_in_a_row(first, issuer):
            return first
        return self._end_in_groups(first, issuer)

    def _is_card_in_a_row(self, first: int, issuer: Issuer) -> bool:
        digits = self._groups[first].digits
        if self._is_fraction(first):
            return False
        if len(digits) <= LONGEST and self._is_number(digits, issuer, first, first):
            return True
        return any(
            GLUED.fullmatch(digits, length) and passes_luhn(digits[:length])
            for length in issuer.usual
            if length < len(digits)
        )

    def _end_in_groups(self, first: int, issuer: Issuer) -> int | None:
        if self._continues_a_row(first) or self._continues_a_list(first):
            return None
        start = self._places[first]
        for last in range(first + 1, len(self._groups)):
            end = self._places[last + 1]
            if end - start > LONGEST:
                return None
            if end - start >= SHORTEST and self._is_number(
                self._digits[start:end], issuer, first, last
            ):
                return last
        return None

    def _is_number(self, digits: str, issuer: Issuer, first: int, last: int) -> bool:
        """Weigh length and check digit, and how it is written."""
        if len(digits) not in issuer.usual | issuer.rare or not passes_luhn(digits):
            return False
        if first < last and not self._is_written_as_one(first, last):
            return False
        return len(digits) in issuer.usual or self._is_evident(digits, first, last)

    def _is_evident(self, digits: str, first: int, last: int) -> bool:
        """Say whether a text beside a number of a rare length shows that it is a card number."""
        if digits in PUBLISHED or self._sizes(first, last) in PRINTED:
            return True
        if self._gap(first) in (self._gap(first - 1), self._gap(last)) and first < last:
            return False
        start, end = self._groups[first].start, self._groups[last].end
        before = self._text[max(0, start - BESIDE_CHARACTERS) : start]
        after = self._text[end : end + BESIDE_CHARACTERS]
        return bool(EXPIRY.match(after)) or not BESIDE_WORDS.isdisjoint(_words(before, after))

    def _is_written_as_one(self, first: int, last: int) -> bool:
        sizes = self._sizes(first, last)
        gaps = [self._gap(place) for place in range(first, last)]
        if ", " in gaps:
            return False
        alike = len(set(gaps)) == 1
        if sizes in PRINTED or _is_uniform(sizes):
            separated = alike or (sizes[0] >= PRINTED_SIZE and all(map(_is_punctuation, gaps)))
            return separated and not self._is_in_list(first, last)
        if not all(map(_joins, gaps)) or any(map(self._is_date, range(first, last + 1))):
            return False
        return all(self._stands_alone(first, last, gap) for gap in set(gaps))

    def _is_date(self, place: int) -> bool:
        return bool(DATE.fullmatch(self._groups[place].digits))

    def _is_in_list(self, first: int, last: int) -> bool:
        """Say whether the groups are some of a longer list of numbers of one size."""
        size, gap = len(self._groups[first].digits), self._gap(first)
        if _joins(gap):
            return False
        around = [(first - 1, first - 1), (last, last + 1)]
        return any(
            0 <= place < len(self._groups)
            and len(self._groups[place].digits) == size
            and self._gap(between) == gap
            for between, place in around
        )

    def _stands_alone(self, first: int, last: int, gap: str) -> bool:
        """Say whether no more of an id is joined to the groups; an expiry date may follow."""
        before = self._text[: self._groups[first].start][-len(gap) - 1 :]
        after = self._text[self._groups[last].end :][: len(gap) + 1]
        if gap.isspace():
            return not (before[:1].isdigit() and before.endswith(gap))
        joined = (before.endswith(gap) and before[0].isalnum()) or (
            after.startswith(gap) and after[-1].isalnum()
        )
        return not joined

    def _continues_a_row(self, first: int) -> bool:
        """Say whether a short group is not the first of its row: the row is looked at once."""
        size = len(self._groups[first].digits)
        before = self._groups[first - 1] if first else None
        return before is not None and size < PRINTED_SIZE and len(before.digits) == size

    def _continues_a_list(self, first: int) -> bool:
        """Say whether a group and the one before it are of one list, whatever follows."""
        if not first or len(self._groups[first - 1].digits) != len(self._groups[first].digits):
            return False
        gap = self._gap(first)
        return gap == self._gap(first - 1) and not _joins(gap)

    def _is_fraction(self, first: int) -> bool:
        """Say whether the digits are the decimals of a number such as 0.5333333333333333."""
        if not first or self._gap(first - 1) != ".":
            return False
        whole = self._groups[first - 1].digits
        return len(whole) < PRINTED_SIZE and not (first > 1 and self._gap(first - 2) == ".")

    def _sizes(self, first: int, last: int) -> tuple[int, ...]:
        return tuple(len(group.digits) for group in self._groups[first : last + 1])

    def _gap(self, place: int) -> str:
        """Return what stands between a group and the next one; nothing at either end."""
        if not 0 <= place < len(self._groups) - 1:
            return ""
        return self._text[self._groups[place].end : self._groups[place + 1].start]


def _is_uniform(sizes: tuple[int, ...]) -> bool:
    """Say whether all groups have one size; the last of three or more may be shorter."""
    rest = sizes[1:-1] if len(sizes) > TWO and sizes[-1] < sizes[0] else sizes[1:]
    return all(size == sizes[0] for size in rest)


def _is_punctuation(gap: str) -> bool:
    return len(gap) <= WIDEST_PUNCTUATION and not any(map(str.isalnum, gap))


def _joins(gap: str) -> bool:
    """Say whether a gap is of those that hold a number together: spaces, dashes, invisible ones."""
    return all(unicodedata.category(character) in JOINING for character in gap)


def _words(*texts: str) -> set[str]:
    letters = "".join(c if c.isalpha() else " " for c in " ".join(texts).lower())
    return set(letters.split())


def _clusters(text: str) -> Iterator[list[Group]]:
    """Yield runs of digits that stand close together and may be a card number's."""
    digits = text.encode("latin-1", "replace").translate(DIGIT_OR_NOT)
    for cluster in CLUSTER.finditer(digits):
        start, end = cluster.span()
        if IN_GROUPS.search(text, start, end):
            yield [Group(run.group(), *run.span()) for run in DIGITS.finditer(text, start, end)]
