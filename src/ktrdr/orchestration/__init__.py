"""The orchestration floor: which training runs where, what state it is in, and who hears of it."""
