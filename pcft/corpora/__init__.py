"""Text to tokens: sources, tokenisation, allocation of documents to clients, parquet shards."""
