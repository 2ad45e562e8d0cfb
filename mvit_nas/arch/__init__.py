"""What a candidate is; knows no torch."""
