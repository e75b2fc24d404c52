"""How quick the system is, and what it costs to run for long."""
