"""Indicators: TA-Lib's functions behind KTRDR's names, and the engine that computes each of them once."""
