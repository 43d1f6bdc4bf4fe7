"""Label schemes, and which augmentations keep a picture's label."""
