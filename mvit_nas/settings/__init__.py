"""What a person asks for: the flags of each command, as frozen values, and the file that keeps them."""
