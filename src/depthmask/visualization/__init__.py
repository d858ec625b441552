"""Charts, picture sheets, the HTML report and the summary: the same bytes for the same input."""
