"""Tell who the account is: clients ask for it to see whether key and connection work."""

from typing import Final

from sandbox.call import Call, Route
from sandbox.objects import Json


def _retrieve(call: Call) -> Json:
    return {
        "id": call.scope.account.id,
        "object": "account",
        "business_type": "company",
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Offline sandbox", "timezone": "Etc/UTC"}},
        "type": "standard",
    }


ROUTES: Final = (Route("GET", "/v1/account", _retrieve),)
