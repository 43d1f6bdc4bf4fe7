"""Everything that talks to a Hub: what publishing would change, publishing itself, and downloading it again."""
