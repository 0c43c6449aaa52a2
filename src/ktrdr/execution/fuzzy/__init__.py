"""Fuzzy sets: membership functions and the engine that applies them to indicators."""
