"""Customers: create, read, list, upsert, delete."""
