"""API keys over HTTP: make, list, rotate, revoke."""
