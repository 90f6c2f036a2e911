"""Tests of what the benchmarks say and choose."""
