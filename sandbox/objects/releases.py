"""Release held money after a cancellation or a partial capture.

Since 2025-03-31.basil this creates no Refund and does not change the charge's refunded amounts. A
request with an older version creates a Refund of the released amount, as before. An endpoint with
an older version gets `charge.refunded` in both cases (Stripe's changelog of that version).
"""

from sandbox.events_out import events
from sandbox.objects import refunds
from sandbox.wire import versions
from sandbox.wire.call import Call
from sandbox.world import objects
from sandbox.world.objects import Json


def release(call: Call, charge: Json, amount: int) -> None:
    """Release a held amount of a charge, as the API version of the call requires."""
    before = objects.copy_of(charge)
    if versions.is_before_basil(call.version):
        refunds.keep_released(call.scope, charge, amount)
        events.emit(call.scope, "charge.refunded", charge, before)
        return
    older = _older_view(charge, amount)
    events.emit_to_older(call.scope, "charge.refunded", older, before)


def _older_view(charge: Json, amount: int) -> Json:
    returned = charge["amount_refunded"] + amount
    return {**charge, "amount_refunded": returned, "refunded": returned == charge["amount"]}
