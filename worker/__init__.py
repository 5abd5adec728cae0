"""The worker: claims items of work, acts on them and records the result."""
