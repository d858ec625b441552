"""What every figure shares: colours, names, and how a figure becomes the same bytes each time."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from depthmask.data.scenes.files import replaced_file

PAPER = "#ffffff"
INK = "#1f2328"
MUTED = "#59636e"
HAIRLINE = "#d8dee4"
GROUND = "#eef1f4"

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072b2", "#d55e00", "#009e73", "#b8578f", "#d98e00", "#3d9ad1",
)  # fmt: skip
"""Okabe and Ito's palette, safe for colour-blind readers; the three palest darkened for paper."""

SPLIT_COLORS = {"train": BLUE, "val": ORANGE, "test": GREEN}

SET_LABELS = {
    "in_scene": "in-scene",
    "unseen_unseen": "unseen room, unseen person",
    "unseen_seen": "unseen room, seen person",
    "seen_unseen": "seen room, unseen person",
    "seen_seen": "seen room, seen person",
    "val": "validation",
}
"""How a set is called in a caption; the room comes first, as in its key."""

DPI = 100


def line_styles(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Give each experiment a colour and a dash, the same in every figure with the same names.

    Sorted by name, so that the order of a table's rows changes nothing; dashes part the second
    and third dozen from the first.
    """
    colors = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)
    dashes = ("-", (0, (4, 1.6)), (0, (1.2, 1.4)))
    return {
        name: (colors[i % len(colors)], dashes[i // len(colors) % len(dashes)])
        for i, name in enumerate(sorted(set(names)))
    }


@contextmanager
def plain_style() -> Iterator[None]:
    """Shut out the user's matplotlibrc: a figure must not depend on whose machine draws it."""
    defaults = {key: matplotlib.rcParamsDefault[key] for key in matplotlib.rcParamsDefault}
    del defaults["backend"]
    with matplotlib.rc_context({**defaults, "font.family": ["DejaVu Sans"]}):
        yield


def save(figure: Figure, path: Path, *, dpi: float = DPI) -> None:
    """Write a PNG that names neither the software's version nor a date."""
    FigureCanvasAgg(figure)
    with replaced_file(Path(path)) as temporary:
        figure.savefig(
            temporary,
            format="png",
            dpi=dpi,
            facecolor=figure.get_facecolor(),
            metadata={"Software": None},
        )
