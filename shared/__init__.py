"""Code that the API and the workers share; it imports neither of them."""
