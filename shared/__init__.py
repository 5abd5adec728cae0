"""What the API and the workers must agree on; it imports neither of them."""
