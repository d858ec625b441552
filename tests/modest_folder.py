"""A tiny folder in MODEST's layout: smooth plates, a rectangle for a person."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from depthmask.data.sources.modest import FOLDERS

SIDE = 32


def write_modest(folder: Path, *, num_plates=4, num_cutouts=4, side=SIDE) -> Path:
    """Write every plate with every person, bright and near, at two positions, and the two maps."""
    rng = np.random.default_rng(0)
    for name in FOLDERS.values():
        (folder / name).mkdir(parents=True)
    slope = np.repeat(np.linspace(255, 128, side)[:, None], side, axis=1)
    lines = []
    width, height = side // 4, side // 2
    for plate in range(1, num_plates + 1):
        coarse = rng.integers(40, 160, (4, 4, 3), dtype=np.uint8)
        bg = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)
        save(folder / f"bg/bg{plate:03d}.jpeg", bg)
        for cutout in range(1, num_cutouts + 1):
            for position in (1, 2):
                stem = f"bg{plate:03d}_fg{cutout:03d}_{position:02d}"
                x, y = (rng.integers(0, side - extent) for extent in (width, height))
                box = slice(y, y + height), slice(x, x + width)
                bg_fg, mask, depth = bg.copy(), np.zeros((side, side)), slope.copy()
                looks = np.random.default_rng(cutout).integers(180, 256, (4, 2, 3), dtype=np.uint8)
                person = cv2.resize(looks, (width, height), interpolation=cv2.INTER_NEAREST)
                bg_fg[box], mask[box], depth[box] = person, 255, 60
                save(folder / f"bg_fg/{stem}.jpeg", bg_fg)
                save(folder / f"bg_fg_mask/{stem}_mask.jpeg", mask)
                save(folder / f"bg_fg_depth_map/{stem}_depth_map.jpeg", depth)
                lines.append(f"bg{plate:03d}\t{stem}\t{stem}_mask\t{stem}_depth_map\n")
    (folder / "file_map.txt").write_text("".join(lines))
    return folder


def save(path: Path, image: np.ndarray) -> None:
    Image.fromarray(np.asarray(image, np.uint8)).save(path, quality=95)
