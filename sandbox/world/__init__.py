"""Hold what the sandbox knows: accounts, objects, time, ids, errors, what waits to be sent."""
