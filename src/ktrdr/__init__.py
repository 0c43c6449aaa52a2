"""KTRDR turns a strategy file into a trained, versioned, honest model."""
