"""Find misspelled names of settings among the variables."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# Of ten letters one may differ: OPERATER_KEYS is near OPERATOR_KEYS, REDIS_PORT is not near
# REDIS_URL (Kubernetes sets such names by itself).
LIKENESS = 0.88
SHORTEST = 6  # PORTS or HOSTS is as likely to be another program's


def misspellings(names: Iterable[str], settings: Iterable[str]) -> dict[str, str]:
    """Return the names that are nearly a setting's name, each with the setting probably meant."""
    setting_names = sorted(settings)
    corrections = {}
    for name in sorted(set(names) - set(setting_names)):
        near = get_close_matches(name.upper(), setting_names, n=1, cutoff=LIKENESS)
        if near and len(name) >= SHORTEST:
            corrections[name] = near[0]
    return corrections
