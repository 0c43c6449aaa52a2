"""Where a training runs: one module for each execution mode."""
