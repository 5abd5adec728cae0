"""Check Redis before a process serves, and while it runs."""

from __future__ import annotations

from collections.abc import Callable

from shared.deadline import deadline
from shared.errors import BillingError, Unavailable
from shared.settings import Settings
from shared.store.carry_over import carry_over
from shared.store.durability import ensure_durable
from shared.store.figures import Flusher
from shared.store.identity import Identity, ensure_ours, identity_of, watch
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
# Most calls (one per second) that ask Stripe for the unknown account: a sandbox that starts at the
# same time is up by then, and a Stripe that never names it is not called for ever.
LOOKS_FOR_ACCOUNT = (5, 30, 300)
# Seconds of one such call: Stripe answers in under one, and a start does not wait longer.
ACCOUNT_SECONDS = 3.0


def ensure_usable(store: Store, settings: Settings) -> Identity:
    """Check that Redis is durable and has the data of our identity; rename keys of old releases.

    Returns our identity, as far as it is known. A Redis that does not answer yet does not prevent
    the start: it is checked again while the process runs. Raises `Misconfigured`, whose text says
    what to do.
    """
    ensure_durable(store, settings)
    ours = identity_of(settings, _account(settings))
    try:
        ensure_ours(store, ours)
        carry_over(store)
    except Unavailable as error:
        log.warning("store_not_opened", error=str(error))
    return ours


def begin(
    store: Store, settings: Settings, ours: Identity, also: Callable[[], None] = lambda: None
) -> Flusher:
    """Each second, add this process's counts to Redis and check the identity of its data.

    `also` is called each second, too; it raises nothing.
    """
    identity = Watch(store, settings, ours)

    def watch() -> None:
        also()
        identity()

    return Flusher(store, watch=watch).start()


class Watch:
    """Check repeatedly that Redis has our data, by account as soon as Stripe names it."""

    def __init__(self, store: Store, settings: Settings, ours: Identity) -> None:
        self._store = store
        self._settings = settings
        self._ours = ours
        self._looks = 0

    def __call__(self) -> None:
        """Check once. Ends the process when Redis holds the data of another identity now."""
        if not self._ours.account and self._looks in LOOKS_FOR_ACCOUNT:
            self._ours = identity_of(self._settings, _account(self._settings))
        self._looks += 1
        watch(self._store, self._ours)


def _account(settings: Settings) -> str:
    """Ask Stripe for the account behind the key; '' without a key, or when it does not say."""
    if not settings.stripe_secret_key.get_secret_value():
        return ""
    try:
        with deadline(ACCOUNT_SECONDS):
            return StripeGateway(settings, max_network_retries=0).account_id()
    except BillingError as error:
        log.info("account_unknown", error=str(error))
        return ""
