"""The hands: claim work, apply what it means, mark it."""
