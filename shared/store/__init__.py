"""The store: how Redis is reached, its atomic scripts, and whether it keeps what it is told."""
