"""Generated ids never look like a card number, which would be refused or masked."""

import hashlib

from shared.card_numbers import holds_card_number
from shared.digest_ids import digest_id
from shared.refund_metadata import JOB_ID


def test_an_id_never_holds_what_could_be_a_card_number() -> None:
    texts = [f"text {number}" for number in range(20_000)]
    plain = {text: f"rr_{hashlib.sha256(text.encode()).hexdigest()[:32]}" for text in texts}
    risky = [text for text in texts if holds_card_number(plain[text])]
    assert risky, "the test shows nothing"
    for text in risky:
        digest = digest_id("rr_", text, 32)
        assert not holds_card_number(digest)
        assert JOB_ID.fullmatch(digest)
    assert digest_id("rr_", "text 0", 32) == plain["text 0"]
    assert len({digest_id("rr_", text, 32) for text in texts}) == len(texts)
