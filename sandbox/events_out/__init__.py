"""Tell of changes: events, their forms by version, endpoints, destinations, deliveries."""
