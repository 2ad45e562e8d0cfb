"""Architectures as a runtime's files."""
