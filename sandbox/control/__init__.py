"""The control routes, and the state file that keeps the world over a restart."""
