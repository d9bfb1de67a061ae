"""A client that joins after training: its text, its first adapter, its report."""
