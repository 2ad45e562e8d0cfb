"""What a search's records mean, and their page."""
