"""The other program: it trains for a backend on this machine's hardware and sends the results back."""
