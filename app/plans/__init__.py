"""Plans: design, read, publish, drift."""
