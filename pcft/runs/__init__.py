"""Warm-up and fine-tuning runs: set-up, training loop, outputs."""
