"""What is known of a candidate: its latency and its accuracy."""
