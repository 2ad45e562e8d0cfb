"""What several searches mean side by side."""
