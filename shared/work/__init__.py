"""Work: what an event, a refund job and a notification are, and what may become of them."""
