"""The method itself: trust between clients, aggregation of their adapters, one exchange."""
