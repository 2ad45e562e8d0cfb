"""Rows in, pages out; imports neither torch nor optuna."""
