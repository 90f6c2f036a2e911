"""Compensation: who is owed what, decided by rules and paid exactly once."""
