"""Which territory a place belongs to."""
