"""The database: private cluster, engine, sessions, scope and tables."""
