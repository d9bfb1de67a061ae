"""Wheels, Hugging Face repositories and zip archives, verified by checksum."""
