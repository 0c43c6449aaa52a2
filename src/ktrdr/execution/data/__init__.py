"""Bars: how they are stored, imported, checked and handed to a training."""
