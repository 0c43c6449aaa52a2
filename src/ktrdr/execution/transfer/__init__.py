"""A trained model on its way from the host that trained it to the backend that keeps it."""
