"""Protobuf to the rules' model and back: what intake, router and sla have to agree on, written once."""
