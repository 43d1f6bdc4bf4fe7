"""One page for a whole run: what was asked, what it was made of, how good it is and how to make it again, in one file."""
