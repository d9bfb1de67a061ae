"""What the Snakefile needs while it is parsed; standard library only."""
