"""The public edge: validates, removes duplicates, numbers, promises, publishes."""
