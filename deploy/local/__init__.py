"""The embedded stack: a real broker, a real database, a local provider and the services, under one supervisor."""
