"""Workflow: plan, outputs and resource requests, for the Snakefile while it is parsed. Standard library only."""
