"""Health events about lost events: one for each, which names the object to look up."""

from typing import Final

from sandbox.events_out import deliveries, event_forms, event_types
from sandbox.events_out.event_forms import THIN_KIND
from sandbox.world import ids
from sandbox.world.objects import Json
from sandbox.world.world import PLATFORM, Scope, job

TYPE: Final = event_types.HEALTH


def lose(scope: Scope, event: Json, delay_seconds: float) -> None:
    """Publish a health event about an event instead of the event itself."""
    related = event_forms.thin(event)["related_object"]
    scope.later(delay_seconds, "tell_of_lost_event", event_type=event["type"], related=related)


@job("tell_of_lost_event")
def _tell(scope: Scope, args: Json) -> None:
    """Publish the health event, in the platform's account; `context` names a connected account."""
    context = {"context": scope.account.id} if scope.account.id != PLATFORM else {}
    created = event_forms.iso(scope.now)
    related = args["related"]
    event: Json = {
        "id": ids.new_id(THIN_KIND),
        "object": THIN_KIND,
        "created": created,
        "data": {
            "alert_id": "halert_" + ids.random_text(ids.RANDOM_LENGTH),
            "grouping_key": "_grouping_" + ids.random_text(ids.RANDOM_LENGTH),
            "impact": {
                "event_type": args["event_type"],
                "related_object_id": related["id"],
                "related_object": related,
                **context,
            },
            "resolved_at": created,
            "summary": "We have failed to create a notification for your Stripe account.",
        },
        "livemode": False,
        "type": TYPE,
    }
    platform = scope.world.scope()
    platform.put(THIN_KIND, event)
    deliveries.publish_thin(platform, event)
