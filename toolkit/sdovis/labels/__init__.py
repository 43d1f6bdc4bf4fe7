"""Label schemes, and what may be done to a picture without changing its label."""
