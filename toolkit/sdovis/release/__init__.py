"""A release: the three repositories in a folder, nothing private among them, and the targets that take it."""
