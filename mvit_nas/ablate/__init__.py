"""A plan of paired runs from one or two factors."""
