"""What an ablation runs."""
