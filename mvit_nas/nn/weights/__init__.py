"""Weights from elsewhere: another library's layout, a trained relative."""
