"""Know the test cards: numbers, declines, and when a card asks its holder to authenticate."""
