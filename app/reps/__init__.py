"""Reps: people or teams with a home and a capacity."""
