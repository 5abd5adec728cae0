"""Payment intents: create, confirm, authenticate, capture, cancel."""
