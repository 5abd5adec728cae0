"""Simulate the event service: `python -m sandbox.receiver`."""
