"""The test cards: numbers, declines, and which cards require authentication."""
