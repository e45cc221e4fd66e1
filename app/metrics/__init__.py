"""Numbers for whoever watches over the service, in the form of Prometheus."""
