"""Tables, HTML pages, figures and the PDF, made from run records."""
