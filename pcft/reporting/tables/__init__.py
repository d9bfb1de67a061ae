"""Tables: one module per table, each written as CSV, Markdown, LaTeX and HTML."""
