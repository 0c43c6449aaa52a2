"""Networks: what `model` names in a strategy, and the classifier that is trained and stored."""
