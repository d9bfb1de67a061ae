"""The frozen language model and the clients' stacked LoRA adapters on it."""
