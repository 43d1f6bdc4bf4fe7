"""A release: its three repositories in a folder, and their way to a Hub and back."""
