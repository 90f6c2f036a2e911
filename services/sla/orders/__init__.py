"""Orders as they run late: who is told, who is owed, and which ticket opens by itself."""
