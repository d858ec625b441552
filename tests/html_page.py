"""A page taken apart: its elements, tables and sections."""

import html
import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br"}  # without an end tag


def said(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


class Page(HTMLParser):
    """Its tables are by the aria-label of the box around them, its sections by their id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == [], "every element is closed"
        parts = re.findall(r'<(section|header) id="(\w+)">(.*?)</\1>', text, re.DOTALL)
        self.sections = {name: said(part) for _, name, part in parts}
        boxes = re.findall(r'aria-label="([^"]*)">\s*<table(.*?)</table>', text, re.DOTALL)
        self.tables = {label: [_cells(row) for row in box.split("<tr")[1:]] for label, box in boxes}

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"{tag} closes another element"

    def row(self, table: str, name: str) -> list[str]:
        (found,) = [row for row in self.tables[table] if row and row[0].split()[:1] == [name]]
        return found

    @property
    def spoken(self) -> str:
        """What a reader reads, but for the parameters."""
        drop = r'<(style|script)>.*?</\1>|<pre class="parameters">.*?</pre>'
        return said(re.sub(drop, "", self.text, flags=re.DOTALL))


def _cells(row: str) -> list[str]:
    cells = re.findall(r"<(t[dh])\b[^>]*>(.*?)</\1>", row, re.DOTALL)
    return [said(cell.replace("<small>", "\n")).strip() for _, cell in cells]
