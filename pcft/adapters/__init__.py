"""Use of finished adapters: export, generate, evaluate, merge."""
