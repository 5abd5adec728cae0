"""The store: connections to Redis, its atomic scripts, the checks of its durability."""
