"""What was written: the two maps of the original's layout, statistics like its, a contact sheet."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from torch import Tensor

from depthmask.data.materialise.writing import SUFFIXES, Chunk, plate_name, write_text
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import Scene
from depthmask.visualization.canvas import spread
from depthmask.visualization.sheets import composed_sheet

_NUM_SHOWN = 24
_COLUMNS = ("folder", "images", "shape", "MB", "mean", "std")
_TITLES = {"bg": "backgrounds", "bg_fg": "backgrounds with foreground", "bg_fg_mask": "masks"}
_TITLES |= {"bg_fg_depth_map": "depth maps", "depth_mm": "depth, millimetres"}


def write_report(
    out: Path,
    chunks: Sequence[Chunk],
    settings: dict[str, Any],
    *,
    compose: Callable[[Sequence[int]], Scene[Tensor]],
    unit: str,
) -> dict[str, Any]:
    """Write bbox.txt, statistics.json, dataset.md, contact_sheet.png and, last, file_map.txt.

    `compose` gives scenes by their numbers. Returns what statistics.json holds.
    """
    names = [name for chunk in chunks for name in chunk.names]
    statistics = summarise(chunks, settings, unit)
    boxes = (box for chunk in chunks for box in chunk.boxes)
    rows = ((f"{name}.jpeg", *box) for name, box in zip(names, boxes, strict=True))
    write_text(out / "bbox.txt", "".join("\t".join(map(str, row)) + "\n" for row in rows))
    write_text(out / "statistics.json", json.dumps(statistics, indent=2) + "\n")
    write_text(out / "dataset.md", describe(statistics))
    bg, bg_fg, mask, depth = compose(spread(len(names), _NUM_SHOWN))
    bg, bg_fg = ((image * 255).round().byte().permute(0, 2, 3, 1) for image in (bg, bg_fg))
    with replaced_file(out / "contact_sheet.png") as temporary:
        composed_sheet(
            temporary,
            Scene(bg.numpy(), bg_fg.numpy(), mask[:, 0].numpy(), depth[:, 0].numpy()),
            unit=unit,
            subtitle=f"{len(names)} scenes of {settings['set']} · {settings['size']} px",
        )
    written_bgs = {name for chunk in chunks for name in chunk.bg_names}
    bgs = ((name if name in written_bgs else plate_name(name), name) for name in names)
    lines = (f"{bg}\t{name}\t{name}_mask\t{name}_depth_map\n" for bg, name in bgs)
    write_text(out / "file_map.txt", "".join(lines))
    return statistics


def summarise(chunks: Sequence[Chunk], settings: dict[str, Any], unit: str) -> dict[str, Any]:
    """Counts, sizes on disk, and mean and standard deviation (of the population) per channel, of
    values in 0..1: from whole numbers, so that a resumed run gives the same digits."""
    size = settings["size"]
    images = {}
    for folder in SUFFIXES:
        num_bytes = [size for chunk in chunks for size in chunk.num_bytes.get(folder, ())]
        if not num_bytes:
            continue
        entry: dict[str, Any] = {"num_files": len(num_bytes), "num_bytes": sum(num_bytes)}
        sums = [chunk.sums[folder] for chunk in chunks if folder in chunk.sums]
        if sums:
            mean, squares = np.sum(sums, axis=0) / (len(num_bytes) * size * size)
            entry["shape"] = [size, size, len(mean)]
            std = np.sqrt(np.maximum(squares - mean**2, 0))
            for name, values in (("mean", mean), ("std", std)):
                entry[name] = [round(float(value) / 255, 5) for value in values]
        images[folder] = entry
    names = [name.split("_") for chunk in chunks for name in chunk.names]
    people = [person for _, person, _ in names if int(person.removeprefix("fg")) > 0]
    return {
        "set": settings["set"],
        "num_scenes": len(names),
        "num_plates": len({plate for plate, *_ in names}),
        "num_people": len(set(people)),
        "num_scenes_without_person": len(names) - len(people),
        "num_files": sum(entry["num_files"] for entry in images.values()),
        "num_bytes": sum(entry["num_bytes"] for entry in images.values()),
        "unit": unit,
        "depth_range": list(settings["encoding"]["depth_range_m"]),
        "images": images,
    }


def _rows(statistics: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for folder, entry in statistics["images"].items():
        moments = [" ".join(f"{v:.5f}" for v in entry.get(name, ())) for name in ("mean", "std")]
        shape = "x".join(map(str, entry.get("shape", ("16 bit",))))
        megabytes = f"{entry['num_bytes'] / 1e6:.1f}"
        rows.append((folder, f"{entry['num_files']:,}", shape, megabytes, *moments))
    return rows


def rich_table(statistics: dict[str, Any]) -> Table:
    """The folders' figures for a terminal."""
    table = Table(*_COLUMNS, title=f"{statistics['num_scenes']:,} scenes of {statistics['set']}")
    for row in _rows(statistics):
        table.add_row(*row)
    return table


def describe(statistics: dict[str, Any]) -> str:
    """The data set's own page, in Markdown."""
    near, far = statistics["depth_range"]
    unit = {"metre": " m"}.get(statistics["unit"], f" ({statistics['unit']})")
    rows = (_COLUMNS, ("---", "---:", "---", "---:", "---", "---"), *_rows(statistics))
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    titles = "\n".join(f"- `{name}/`: {_TITLES[name]}" for name in statistics["images"])
    return f"""\
# {statistics["num_scenes"]:,} composed scenes of the set {statistics["set"]}

{statistics["num_plates"]} plates, {statistics["num_people"]} people,\
 {statistics["num_scenes_without_person"]} scenes with nobody in them (`fg000`);\
 {statistics["num_files"]:,} images, {statistics["num_bytes"] / 1e6:.1f} MB.
Mean and standard deviation are of the pixels' values in 0 to 1, red, green, blue.

{table}

![24 of the scenes](contact_sheet.png)

## Files

{titles}
- `file_map.txt`: background, background with foreground, mask, depth map, by tabs
- `bbox.txt`: background with foreground, the person's x, y, width, height, px

`bg007_fg012_000042` is plate 7 and person 12 in sample 42; `fg000` is nobody.
A mask is 255 where a pixel is all person. A depth map is 8 bits of
{near:g} * ({far:g} / {near:g}) ** (value / 255){unit}: 0 is near, 255 far.
"""
