"""Are the images whole? Asked before training, of every file, over the cores.

A file's head says its size and its end whether it is all there: 1.2 million files need no
decoding. Decoding finds damage in the middle as well, and takes ten times as long.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from depthmask.data.processes import num_cores
from depthmask.data.progress import progress
from depthmask.data.sources.modest.decoding import (
    TAIL_BYTES,
    UNREADABLE,
    decoding_fault,
    ends_whole,
    image_side,
)
from depthmask.data.sources.modest.layout import FOLDERS
from depthmask.errors import InputError

_FILES_AT_ONCE = 500

_Fault = tuple[str, str]
"""A path within the folder, and what is wrong with it."""


def check_images(
    folder: Path,
    table: pd.DataFrame,
    *,
    decode: int | Literal["all"] = 0,
    num_workers: int | None = None,
) -> str:
    """Check that every image of the table is a whole JPEG or PNG of one square size.

    Args:
        folder: the data set's.
        table: from `depthmask.data.sources.modest.read_layout`, or some of its rows.
        decode: of how many rows, evenly spread, the images are decoded too; or all.
        num_workers: processes; by default one a core, or none where there is little to do.

    Returns:
        16 hex digits that follow from the files: from every name, length and end. Another image
        under an old name has another of the last two, and reading all of a million would take
        an hour.

    Raises:
        InputError: counting the images that fail, by what is wrong, and naming the first.
    """
    side = image_side(folder, table)
    count = len(table) if decode == "all" else min(decode, len(table))
    decoded = table.iloc[np.linspace(0, len(table) - 1, count).astype(int)]
    to_decode = {path for field in FOLDERS for path in decoded[field]}
    paths = [path for field in FOLDERS for path in table[field].unique()]
    jobs = _Check(os.fspath(folder), paths, to_decode, side)
    if num_workers is None:
        num_workers = 0 if len(paths) <= 4 * _FILES_AT_ONCE else num_cores()
    faults: list[_Fault] = []
    content = hashlib.sha256()
    with progress(len(paths), "images checked") as advance:
        for num_files, found, digest in DataLoader(jobs, batch_size=None, num_workers=num_workers):
            faults.extend(found)
            content.update(digest)
            advance(num_files)
    if faults:
        kinds = Counter(what for _, what in faults).most_common()
        summary = ", ".join(f"{number} {what}" for what, number in kinds)
        path, what = faults[0]
        raise InputError(
            f"{len(faults)} of {len(paths)} images in {folder} cannot be used ({summary}); the"
            f" first: {path} is {what}: unpack them again, or remove their lines from file_map.txt"
        )
    return content.hexdigest()[:16]


class _Check(Dataset[tuple[int, list[_Fault], bytes]]):
    """Item n: how many files the n-th handful has, what is wrong with which, and their digest."""

    def __init__(self, folder: str, paths: Sequence[str], decoded: set[str], side: int) -> None:
        self.folder, self.paths, self.decoded, self.side = folder, paths, decoded, side

    def __len__(self) -> int:
        return -(-len(self.paths) // _FILES_AT_ONCE)

    def __getitem__(self, number: int) -> tuple[int, list[_Fault], bytes]:
        paths = self.paths[number * _FILES_AT_ONCE : (number + 1) * _FILES_AT_ONCE]
        content = hashlib.sha256()
        checked = [(path, self._fault(path, content)) for path in paths]
        return len(paths), [(path, fault) for path, fault in checked if fault], content.digest()

    def _fault(self, path: str, content: "hashlib._Hash") -> str | None:
        try:
            with open(os.path.join(self.folder, path), "rb") as file:
                with Image.open(file, formats=("JPEG", "PNG")) as image:
                    size = image.size
                length = file.seek(0, os.SEEK_END)
                file.seek(-min(TAIL_BYTES, length), os.SEEK_END)
                tail = file.read()
                content.update(f"{path} {length} ".encode() + tail)
                whole = ends_whole(tail)
                if not whole or path in self.decoded:
                    file.seek(0)
                    fault = decoding_fault(file.read())
                    if fault:
                        return fault
        except UNREADABLE:
            return "no JPEG or PNG that opens"
        if size != (self.side, self.side):
            return f"not {self.side} x {self.side} px"
        return None
