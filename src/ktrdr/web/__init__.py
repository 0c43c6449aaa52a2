"""What every program that speaks HTTP shares: problem documents, limits, safeguards, and a server that drains."""
