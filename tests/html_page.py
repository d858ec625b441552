"""A page taken apart: its elements, tables and sections."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br"}
"""Without an end tag."""


class Page(HTMLParser):
    """A page taken apart.

    Attributes:
        tags: every element with its attributes.
        tables: by aria-label of the scrolling box around it, or by number, rows of cells' texts.
        sections: text by the section's id.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.sections: dict[str, str] = {}
        self._open: list[str] = []
        self._label, self._section, self._cell = "", "", False
        self.feed(text)
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag, attributes):
        attrs = dict(attributes)
        self.tags.append((tag, attrs))
        if tag not in VOID:
            self._open.append(tag)
        if attrs.get("role") == "region":
            self._label = attrs["aria-label"]
        if tag == "table":
            self._label = self._label or str(len(self.tables))
            self.tables[self._label] = []
        elif tag == "tr":
            self.tables[self._label].append([])
        elif tag in ("td", "th"):
            self.tables[self._label][-1].append("")
            self._cell = True
        elif tag in ("section", "header"):
            self._section = attrs["id"]
            self.sections[self._section] = ""
        elif tag == "small" and self._cell:
            self.tables[self._label][-1][-1] += "\n"

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"{tag} closes another element"
        if tag in ("td", "th"):
            self._cell = False
        elif tag == "table":
            self._label = ""
        elif tag in ("section", "header"):
            self._section = ""

    def handle_data(self, data):
        if self._cell:
            self.tables[self._label][-1][-1] += data
        if self._section:
            self.sections[self._section] += data

    def row(self, table: str, name: str) -> list[str]:
        (found,) = [row for row in self.tables[table] if row and row[0].split()[:1] == [name]]
        return found


def spoken(page: Page) -> str:
    """What a reader reads: without the pictures' data, styles and parameters."""
    text = re.sub(r"<(style|script)>.*?</\1>", "", page.text, flags=re.DOTALL)
    text = re.sub(r'<pre class="parameters">.*', "", text, flags=re.DOTALL)
    return re.sub(r'"data:[^"]*"', "", text)
