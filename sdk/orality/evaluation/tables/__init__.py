"""Results as tables: Markdown, LaTeX and CSV."""
