"""What a customer says: features, the learned model over them, and what the router concludes."""
