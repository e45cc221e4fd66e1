"""Geofences: named areas that are asked whether they hold a point."""
