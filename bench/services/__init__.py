"""The scale kit: millions of customers, and how fast the services answer over them."""
