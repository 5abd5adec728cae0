"""Play checkout sessions and what they sell."""
