"""The mail channel: SMTP in, complaints out."""
