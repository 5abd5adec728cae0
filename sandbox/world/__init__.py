"""The state of the sandbox: accounts, objects, time, ids, errors, pending deliveries."""
