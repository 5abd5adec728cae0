"""Report events of the other mode, which the service acknowledges, counts and does not record."""

from __future__ import annotations

from collections.abc import Iterator

from shared.store import figures, rates
from shared.store.durability import Finding
from shared.store.scripts import Store
from shared.telemetry.tally import OTHER_MODE_EVENTS, OWN_ACCOUNT

# Most accounts to name in a finding: a platform may have thousands.
MOST_ACCOUNTS = 5


def events_of_other_mode(store: Store) -> Iterator[Finding]:
    """Report the events of the other mode in the last day, and all accounts that they came from.

    Stripe sends those of connected accounts by design. Raises `Unavailable`.
    """
    _, counts, _ = rates.read(store, rates.BUCKETS)
    own, connected = sum(counts["other_mode"]), sum(counts["other_mode_connected"])
    if own:
        what = f"{own} events of our own account in the other mode came within a day; none was "
        what += "recorded"
        fix = "Remove the endpoint of that mode at Stripe, or give this service that mode's key."
        yield Finding("warning", "stripe", what, fix)
    if connected:
        what = f"{connected} events of connected accounts in the other mode came within a day, as "
        what += f"Stripe sends them; none was recorded. So far, by account: {_by_account(store)}"
        yield Finding("ok", "stripe", what)


def _by_account(store: Store) -> str:
    counts = next(one for one in figures.read(store) if one.metric is OTHER_MODE_EVENTS).counts
    others = ((n, account) for (_, account), n in counts.items() if account != OWN_ACCOUNT)
    most = sorted(others, reverse=True)[:MOST_ACCOUNTS]
    return ", ".join(f"{account} {number:.0f}" for number, account in most)
