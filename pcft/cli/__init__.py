"""Command line: argument parsers and handlers, grouped by purpose."""
