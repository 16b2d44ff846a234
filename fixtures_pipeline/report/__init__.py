"""The coverage report: its numbers, its page and its file."""
