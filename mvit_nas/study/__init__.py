"""What a study holds: its records, its origin, and where they are kept."""
