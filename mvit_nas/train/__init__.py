"""How well a model does on a short schedule."""
