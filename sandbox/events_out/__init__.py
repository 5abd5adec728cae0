"""Events and their forms by version; endpoints, destinations and deliveries."""
