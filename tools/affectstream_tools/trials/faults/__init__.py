"""Fault injection: what a replay comes to when its processes are killed at random moments."""
