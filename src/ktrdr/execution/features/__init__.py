"""Features: the one computation of what a model sees, for training, prediction and evaluation."""
