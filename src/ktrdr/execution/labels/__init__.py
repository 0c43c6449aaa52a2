"""Labels: what a bar is taught to predict, and the first bar at which that answer could no longer change."""
