"""Where the customers, the work and the potential are."""
