"""Personalised collaborative fine-tuning of language models, as a Snakemake pipeline."""

__version__ = "0.1.0"
