"""Check parameters as Stripe does: unknown, missing and malformed ones are refused.

A spec maps parameter names to parsers; a parser takes the raw value and its full name (`a[b]`)
and returns the value to use. `parse` returns only what was given: absent stays absent.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.world import errors
from sandbox.world.objects import Json

Parser = Callable[[Any, str], Any]

NOTHING: Final = object()
"""A parser's result for a value that counts as absent."""
TEXT_LIMIT: Final = 5000
"""Most characters of a free text, where Stripe documents no other limit."""
INTEGER_BITS: Final = 64
"""Of an integer with its sign."""
URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/]")
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
METADATA_KEYS: Final = 50
METADATA_KEY_LENGTH: Final = 40
METADATA_VALUE_LENGTH: Final = 500


@dataclass(frozen=True)
class Required:
    """Marks a required parameter."""

    parser: Parser


Spec = Mapping[str, Parser | Required]


def parse(spec: Spec, tree: Json, prefix: str = "") -> Json:
    """Return the given parameters, checked and converted, or raise Stripe's 400."""

    def full(name: str) -> str:
        return f"{prefix}[{name}]" if prefix else name

    unknown = [full(name) for name in tree if name not in spec]
    if unknown:
        noun = "parameter" if len(unknown) == 1 else "parameters"
        message = f"Received unknown {noun}: {', '.join(unknown)}"
        raise errors.invalid(message, unknown[0], "parameter_unknown")
    parsed: Json = {}
    for name, rule in spec.items():
        if name in tree:
            parser = rule.parser if isinstance(rule, Required) else rule
            value = parser(tree[name], full(name))
            if value is not NOTHING:
                parsed[name] = value
        elif isinstance(rule, Required):
            message = f"Missing required param: {full(name)}."
            raise errors.invalid(message, full(name), "parameter_missing")
    return parsed


def one_only(inputs: Json, *names: str) -> None:
    """Refuse parameters that exclude one another."""
    both = [name for name in names if name in inputs]
    if len(both) > 1:
        message = f"You may only specify one of these parameters: {', '.join(both)}."
        raise errors.invalid(message, both[1])


def text(limit: int = TEXT_LIMIT) -> Parser:
    """Accept a non-empty string of limited length."""

    def parser(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise errors.invalid(f"Invalid string: {value}", name)
        if value == "":
            raise _empty(name)
        if len(value) > limit:
            message = f"Invalid string: {value[:20]}…; must be at most {limit} characters"
            raise errors.invalid(message, name, "parameter_invalid_string_length")
        return value

    return parser


def _empty(name: str) -> errors.StripeError:
    message = (
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset "
        f"a parameter; however '{name}' cannot be unset. You should remove '{name}' from your "
        "request or supply a non-empty value."
    )
    return errors.invalid(message, name, "parameter_invalid_empty")


@dataclass(frozen=True)
class UnsetOr:
    """Accept the empty string as "remove the value" (null), else what the parser accepts."""

    parser: Parser

    def __call__(self, value: Any, name: str) -> Any:
        """Return null or the parsed value."""
        return None if value == "" else self.parser(value, name)


def unset_or(parser: Parser) -> Parser:
    """Accept the empty string as "remove the value" (null), else what the parser accepts."""
    return UnsetOr(parser)


def not_simulated_error(name: str) -> errors.StripeError:
    """Return the 400 for a parameter of Stripe that the sandbox does not simulate."""
    message = f"The parameter `{name}` is not simulated by this sandbox."
    return errors.invalid(message, name, "parameter_not_simulated")


@dataclass(frozen=True)
class NotSimulated:
    """Refuse a parameter of Stripe by name, except for values without an effect.

    Accepting and ignoring a parameter would hide a difference from Stripe, so it is refused.
    """

    harmless: tuple[Any, ...] = ()

    def __call__(self, value: Any, name: str) -> Any:
        """Drop a harmless value, or raise a 400 that names the parameter."""
        if value in self.harmless:
            return NOTHING
        raise not_simulated_error(name)


class RefusedLater(NotSimulated):
    """Pass a parameter to the handler, which refuses it with an error that depends on the state."""

    def __call__(self, value: Any, _: str) -> Any:
        """Return the value."""
        return value


DISABLED: Final = NotSimulated(harmless=({"enabled": "false"}, {"enabled": False}, "", None))
"""Harmless value of features that are off unless `enabled`."""


def not_simulated(names: str, *harmless: Any) -> dict[str, Parser]:
    """Return the part of a spec that refuses these parameters by name."""
    return dict.fromkeys(names.split(), NotSimulated(harmless))


def integer(minimum: int | None = None) -> Parser:
    """Accept a whole number, at least the minimum."""

    def parser(value: Any, name: str) -> int:
        if value == "":
            raise _empty(name)
        try:
            number = int(str(value))
        except ValueError:
            number = None
        if number is None or number.bit_length() >= INTEGER_BITS:
            message = f"Invalid integer: {value}"
            raise errors.invalid(message, name, "parameter_invalid_integer")
        if minimum is not None and number < minimum:
            message = f"This value must be greater than or equal to {minimum}."
            raise errors.invalid(message, name, "parameter_invalid_integer")
        return number

    return parser


def url() -> Parser:
    """Accept a URL with a scheme, which may be that of an application."""

    def parser(value: Any, name: str) -> str:
        address: str = text()(value, name)
        if not URL.match(address):
            raise errors.invalid("Not a valid URL", name, "url_invalid")
        return address

    return parser


def positive() -> Parser:
    """Accept a whole number above 0; the error is worded as by Stripe's older endpoints."""

    def parser(value: Any, name: str) -> int:
        number: int = integer()(value, name)
        if number < 1:
            raise errors.invalid("Invalid positive integer", name, "parameter_invalid_integer")
        return number

    return parser


def email() -> Parser:
    """Accept a well-formed e-mail address."""

    def parser(value: Any, name: str) -> str:
        address: str = text()(value, name)
        if not EMAIL.fullmatch(address):
            raise errors.invalid(f"Invalid email address: {address}", name, "email_invalid")
        return address

    return parser


def boolean() -> Parser:
    """Accept true or false."""

    def parser(value: Any, name: str) -> bool:
        if value in ("true", "false", True, False):
            return value in ("true", True)
        raise errors.invalid(f"Invalid boolean: {value}", name)

    return parser


def one_of(*choices: str) -> Parser:
    """Accept one of the words."""

    def parser(value: Any, name: str) -> str:
        if value in choices:
            return str(value)
        words = ", ".join(choices[:-1]) + (", or " if len(choices) > 1 else "") + choices[-1]
        raise errors.invalid(f"Invalid {name}: must be one of {words}", name)

    return parser


def either(*parsers: Parser) -> Parser:
    """Accept a value that one of the parsers accepts; else raise the last one's refusal."""

    def parser(value: Any, name: str) -> Any:
        for attempt in parsers[:-1]:
            try:
                return attempt(value, name)
            except errors.StripeError:
                continue
        return parsers[-1](value, name)

    return parser


@dataclass(frozen=True)
class Fields:
    """Accept a map with the given parameters inside."""

    spec: Spec

    def __call__(self, value: Any, name: str) -> Json:
        """Return the map, each value parsed."""
        if not isinstance(value, dict):
            raise errors.invalid("Invalid object", name)
        return parse(self.spec, value, name)


def fields(spec: Spec) -> Parser:
    """Accept a map with the given parameters inside."""
    return Fields(spec)


@dataclass(frozen=True)
class ListOf:
    """Accept an array."""

    item: Parser

    def __call__(self, value: Any, name: str) -> list[Any]:
        """Return the elements, each parsed."""
        if not isinstance(value, list):
            raise errors.invalid("Invalid array", name)
        return [self.item(element, f"{name}[{index}]") for index, element in enumerate(value)]


def list_of(item: Parser) -> Parser:
    """Accept an array."""
    return ListOf(item)


def metadata() -> Parser:
    """Accept metadata within Stripe's limits; "" unsets all of it (null)."""

    def parser(value: Any, name: str) -> Json | None:
        if value == "":
            return None
        if not isinstance(value, dict):
            raise errors.invalid("Invalid hash", name)
        if len(value) > METADATA_KEYS:
            message = f"You can have up to {METADATA_KEYS} metadata keys, but you passed in "
            raise errors.invalid(message + f"{len(value)}.", name)
        return {key: _metadata_value(key, item, name) for key, item in value.items()}

    return parser


def _metadata_value(key: str, value: Any, name: str) -> str:
    if len(key) > METADATA_KEY_LENGTH:
        message = f"Metadata keys can have up to {METADATA_KEY_LENGTH} characters, but you passed "
        raise errors.invalid(message + f"in a key that is {len(key)} characters.", name)
    if not isinstance(value, str):
        message = "Metadata values must be strings, but for key "
        raise errors.invalid(f"{message}'{key}' you passed in a hash.", f"{name}[{key}]")
    if len(value) > METADATA_VALUE_LENGTH:
        message = f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters, but you "
        raise errors.invalid(message + f"passed in a value that is {len(value)} characters.", name)
    return value


ADDRESS: Final = unset_or(
    fields(
        {
            key: unset_or(text())
            for key in ("city", "country", "line1", "line2", "postal_code", "state")
        }
    )
)
SHIPPING: Final = unset_or(
    fields(
        {
            "address": Required(ADDRESS),
            "name": Required(text()),
            "carrier": unset_or(text()),
            "phone": unset_or(text()),
            "tracking_number": unset_or(text()),
        }
    )
)
BILLING_DETAILS: Final = fields(
    {
        "address": ADDRESS,
        "email": unset_or(email()),
        "name": unset_or(text()),
        "phone": unset_or(text()),
        "tax_id": text(),
    }
)
