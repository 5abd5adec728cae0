"""Play payment intents: create, confirm, authenticate, capture, cancel."""
