"""How documents are drawn: Markdown, one HTML page, charts as SVG."""
