"""Release held money that was not taken: what a cancellation or a partial capture leaves.

Since 2025-03-31.basil that is no Refund and changes nothing of the charge's refunded amounts. A
request with an older version makes a Refund over the released amount, as it did before. An
endpoint with an older version is told `charge.refunded` either way (Stripe's changelog of that
version).
"""

from sandbox.events_out import events
from sandbox.objects import refunds
from sandbox.wire import versions
from sandbox.wire.call import Call
from sandbox.world import objects
from sandbox.world.objects import Json


def release(call: Call, charge: Json, amount: int) -> None:
    """Give the held amount of a charge back to its holder, in the words of the call's version."""
    before = objects.frozen(charge)
    if versions.is_before_basil(call.version):
        refunds.keep_released(call.scope, charge, amount)
        events.emit(call.scope, "charge.refunded", charge, before)
        return
    older = _older_view(charge, amount)
    events.emit_to_older(call.scope, "charge.refunded", older, before)


def _older_view(charge: Json, amount: int) -> Json:
    returned = charge["amount_refunded"] + amount
    return {**charge, "amount_refunded": returned, "refunded": returned == charge["amount"]}
