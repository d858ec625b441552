"""Where plates and cutouts come from."""

from pathlib import Path

from depthmask.data.scenes.files import read_summary, read_table
from depthmask.data.scenes.leakage_check import check_files, check_library

MODEL_CARD = {
    "museum": (
        "rendered museum rooms and people, composed and varied at random",
        "Trained on rendered pictures alone: measure it on photographs before relying on it.",
    ),
    "photos": (
        "photographs of rooms and cut-out people, composed and varied at random",
        "Rooms and people unlike those of its photographs were not measured.",
    ),
    "modest": (
        "the MODEST Museum data set: composites, their depth a teacher network's",
        "Its truth is a teacher's depth: the figures say how well it agrees with that.",
    ),
}
"""What each source is, and what it leaves unmeasured."""


def check_leakage(prepared: Path) -> None:
    """Refuse prepared data if anything is on both sides of a split; see `leakage_check`."""
    summary = read_summary(prepared)
    if summary["source"] != "modest":
        check_library(prepared, compare=summary["source"] == "photos")
        return
    # not above: they need OpenCV, which is not on every GPU machine
    from depthmask.data.sources.modest.portraits import pictures_of
    from depthmask.data.sources.modest.preparing import SAMPLES

    folder, path = Path(summary["folder"]), prepared / SAMPLES
    table = read_table(path, ("plate", "cutout", "bg", "bg_fg", "mask"))
    images = {kind: pictures_of(kind, folder, table) for kind in ("plate", "cutout")}
    check_files(path, images, f"remove one's lines from {folder / 'file_map.txt'}")
