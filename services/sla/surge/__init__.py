"""Surges: many complaints of one cause become one incident. Statistics and decisions are pure; the edges are apart."""
