"""Benchmarks: each runs both sides of a comparison and prints one JSON line a result."""
