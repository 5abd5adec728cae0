"""Work: events, refund jobs and notifications, their states, and how each may end."""
