"""Turns events into messages people receive, once each, in their language."""
