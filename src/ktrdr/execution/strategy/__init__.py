"""The strategy file: its grammar, how it is read, and how its mistakes are told."""
