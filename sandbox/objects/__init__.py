"""The objects of a payment: one file per Stripe object."""
