"""The two source papers' experiments: jobs that run them, and rows beside the papers' numbers."""
