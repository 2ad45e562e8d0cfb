"""What a command does, from checked settings to files: the one place that joins the layers."""
