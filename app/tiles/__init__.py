"""Vector tiles of customers and territories."""
