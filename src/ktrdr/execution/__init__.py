"""The execution floor: what computes, and what carries a training to the place where it runs."""
