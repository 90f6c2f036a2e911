"""Faults on purpose: what was observed at the edges of a system, real or simulated, is held against its invariants."""
