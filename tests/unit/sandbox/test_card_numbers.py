from __future__ import annotations

import json

import pytest

from sandbox.cards import card_numbers
from sandbox.cards.test_data import CARDS
from sandbox.control import state
from sandbox.world import errors
from tests.unit.sandbox.worlds import Bench

NUMBERS = [card.number for card in CARDS.values()]


def concealed(number: str) -> dict[str, str]:
    tree = {"card": {"number": number, "exp_month": "12", "exp_year": "2040", "cvc": "123"}}
    card_numbers.conceal(tree)
    return tree["card"]


def test_a_number_never_passes_the_door() -> None:
    assert NUMBERS
    assert [number for number in NUMBERS if number in json.dumps(concealed(number))] == []


@pytest.mark.parametrize("number", ["4242 4242 4242 4242", "4242-4242-4242-4242"])
def test_separators_do_not_matter(number: str) -> None:
    assert concealed(number)["number"] == card_numbers.TEST_CARD + "visa"


def test_two_unknown_numbers_look_the_same() -> None:
    assert concealed("4539578763621486") == concealed("4916338506082832")


def test_a_wrong_check_digit_is_told_from_a_stranger() -> None:
    assert concealed("4242424242424241")["number"] == card_numbers.WRONG_CHECK_DIGIT
    assert concealed("4539578763621486")["number"] == card_numbers.UNKNOWN


def test_numbers_nested_in_other_parameters_are_found() -> None:
    tree = {"payment_method_data": {"card": {"number": NUMBERS[0], "cvc": "1234567"}}}
    card_numbers.conceal(tree)
    assert tree["payment_method_data"]["card"]["cvc"] == card_numbers.CVC_INVALID
    assert NUMBERS[0] not in json.dumps(tree)


def test_messages_show_no_card_number() -> None:
    message = errors.invalid("No such PaymentMethod: '4242424242424242'").error["message"]
    assert message == "No such PaymentMethod: '************4242'"


def test_messages_keep_numbers_that_are_no_card_numbers() -> None:
    assert errors.invalid("order 1234567890123").error["message"] == "order 1234567890123"


def test_the_whole_state_holds_no_card_number(bench: Bench) -> None:
    for number in (card.number for card in CARDS.values() if card.simulated):
        form = {"type": "card", "card": concealed(number)}
        bench.call("POST", "/v1/payment_methods", form)
    bench.write_down()
    saved = bench.path.read_text()
    assert state.read(bench.path)
    assert [number for number in NUMBERS if number in saved] == []
