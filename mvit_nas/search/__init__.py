"""Candidates in, evaluations out."""
