"""The settings that are explored."""

from __future__ import annotations

from tests.explore.events import OneFactTwice, Redriven, TwoFacts

SETTINGS = (TwoFacts, OneFactTwice, Redriven)
