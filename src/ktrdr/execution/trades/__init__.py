"""Trades: what a model's decisions would have earned on the bars that it is judged on, after costs."""
