"""How likely an order is late: a promise, a small forest of trees, and rules where the forest is missing."""
