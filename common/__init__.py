"""Toolbox without domain: time, errors, Kafka, settings, metrics, tracing. It imports no service."""
