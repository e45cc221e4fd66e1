"""Small, openly licensed sample data and the generator that makes it."""
