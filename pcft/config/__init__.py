"""Settings that a user writes: one module per section of the configuration file."""
