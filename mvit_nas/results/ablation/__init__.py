"""What an ablation's records mean, and their page."""
