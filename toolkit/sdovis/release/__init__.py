"""A release: the three repositories in a folder, nothing private in them, and the targets that publish it."""
