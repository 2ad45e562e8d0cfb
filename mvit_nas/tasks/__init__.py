"""What a network learns to say of an image."""
