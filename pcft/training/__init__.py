"""Local training and evaluation of all clients' adapters at once."""
