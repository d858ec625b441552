"""What is wrong with a folder of photographs, all of it at once: a table and a CSV file."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.console import Console
from rich.table import Table

from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError

_MOST_SHOWN = 30
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Finding:
    """One remark about one file.

    Attributes:
        level: an `error` stops the ingestion, a `warning` or a `note` does not.
        code: what kind of remark, one word or a few joined by hyphens, for programs.
        file: path below the folder of the photographs.
        text: what it is and what to do, one line.
    """

    level: Literal["error", "warning", "note"]
    code: str
    file: str
    text: str


@dataclass
class Findings:
    """Remarks collected on the way.

    Attributes:
        folder: that of the photographs; files are named below it.
        path: the CSV file that `publish` writes.
    """

    folder: Path
    path: Path
    rows: list[Finding] = field(default_factory=list)

    def add(self, level: str, code: str, file: Path | str, text: str) -> None:
        name = file.relative_to(self.folder).as_posix() if isinstance(file, Path) else file
        # a text of another module begins with the path, which has a column here
        self.rows.append(Finding(level, code, name, text.removeprefix(f"{file} ")))

    @property
    def errors(self) -> list[Finding]:
        return [row for row in self.rows if row.level == "error"]

    def table(self) -> pd.DataFrame:
        """Columns level, code, file, text; errors first."""
        order = list(_STYLES)
        rows = sorted(self.rows, key=lambda row: (order.index(row.level), row.code, row.file))
        return pd.DataFrame(rows, columns=["level", "code", "file", "text"])

    def publish(self, console: Console | None = None) -> None:
        """Write the CSV file and print the first of it."""
        with replaced_file(self.path) as path:
            self.table().to_csv(path, index=False)
        console = console or Console(stderr=True)
        if not self.rows:
            return
        counts = Counter(row.level for row in self.rows)
        title = ", ".join(
            f"{counts[level]} {level}{'s' * (counts[level] > 1)}"
            for level in _STYLES
            if counts[level]
        )
        shown = Table(title=f"{self.folder}: {title}", title_justify="left")
        shown.add_column("")
        shown.add_column("file", overflow="fold")
        shown.add_column("what", overflow="fold")
        for row in self.table().head(_MOST_SHOWN).itertuples():
            shown.add_row(f"[{_STYLES[row.level]}]{row.level}[/]", _plain(row.file), row.text)
        console.print(shown)
        more = len(self.rows) - _MOST_SHOWN
        console.print(f"{f'and {more} more, ' if more > 0 else ''}all in {self.path}")

    def stop_on_errors(self) -> None:
        """Publish and raise if there is an error.

        Raises:
            InputError: their number, the first of them, and where the rest stands.
        """
        if not self.errors:
            return
        self.publish()
        first = self.table().iloc[0]
        count = len(self.errors)
        raise InputError(
            f"{self.folder} has {count} error{'s' if count > 1 else ''},"
            f" the first: {first.file} {first.text} (all are in {self.path})"
        )


def _plain(text: str) -> str:
    """Rich reads [words in brackets] as markup; in a file's name they are not."""
    return text.replace("[", r"\[")
