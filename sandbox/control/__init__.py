"""Serve the control routes and keep the world over a restart."""
