"""Trained networks as folders that can be passed on, and as files that runtimes execute."""
