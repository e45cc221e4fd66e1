"""Which customers are near a point."""
