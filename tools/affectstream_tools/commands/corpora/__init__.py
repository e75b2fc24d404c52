"""``prepare`` extracts a corpus's features; ``synthesise`` writes a synthetic corpus."""
