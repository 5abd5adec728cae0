"""The worker: claims items of work, acts on them and marks the result."""
