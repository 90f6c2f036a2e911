"""The router: owns the ticket. Complaints in, tickets in MongoDB, every change out on tickets.v1."""
