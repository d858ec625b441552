"""Where plates and cutouts come from."""

from pathlib import Path

from depthmask.data.scenes.files import read_summary, read_table
from depthmask.data.scenes.leakage_check import check_files, check_library


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
