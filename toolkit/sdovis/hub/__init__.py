"""What speaks to a Hub: what a publish would change, publishing itself, and reading it back."""
