"""Images: found, parted, decoded and kept."""
