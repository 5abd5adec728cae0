"""Read API calls as Stripe does: parameters, forms, lists, versions, keys."""
