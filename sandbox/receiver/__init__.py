"""Play the event service: `python -m sandbox.receiver`."""
