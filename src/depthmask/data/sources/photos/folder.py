"""The folder of photographs: made with a guide, listed, and all that is wrong in it at once."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.images import DEAD_LINK, SUFFIXES
from depthmask.errors import InputError

GUIDE = "README.md"

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
_MOST_SHOWN = 30
_UNREAD = (".arw", ".avif", ".cr2", ".cr3", ".dng", ".gif", ".heic", ".heif", ".nef", *SUFFIXES)
_TITLE = "# Photographs for depthmask"
_GUIDE = f"""{_TITLE}

| folder | what | files |
|---|---|---|
| `bg/` | empty rooms ("plates"), nobody in them | jpg, jpeg, png, webp, tif, tiff, bmp |
| `fg/` | one standing person each, background cut out | png with a straight alpha channel |
| `depth/` | may stay empty: the depth of a plate, with the plate's name | png, npy, tif, tiff |

Any size and aspect, 8 or 16 bits, colour or grey; pictures are turned as their EXIF orientation
says. A plate's middle square is used. Two files of a folder must not share a name (`a.jpg` and
`a.png`). HEIC and raw files are not read: export them as JPEG.

At least 3 plates and 3 people: nobody and no room is in two of train, val and test. With 20 of
each the pipeline says something, with 100 something about rooms and people that it has not seen.
Near-duplicates are kept in one split: ten pictures of one wall count as one.

- Plates: camera level, as high as the real one will be, floor in the lower half; the shorter side
  has at least `prepare.size` pixels.
- People: whole, from head to feet, standing, upright, at eye level, nothing in front, even light.
  A matte that ends softly at the hair is good.

## Depth: one of the two
1. **Depth maps** in `depth/`, one for every plate, of the whole picture, of any resolution:
   `depth/hall.png` belongs to `bg/hall.jpg`. All in one unit:
   - 16 bit png or tif: millimetres; 0 means not measured;
   - float npy or tif: metres;
   - 8 bit png or tif: relative inverse depth as depth networks draw it, 255 the nearest point.
2. **A teacher**: a depth network as an ONNX file with the contract of Depth Anything V2 (Small is
   enough; mind its licence): one input, float32 N x 3 x H x W, RGB normalised with ImageNet's mean
   and deviation, sides multiples of 14; one output, float32 N x H x W, inverse depth, larger is
   nearer. It runs once a plate, on this machine; answers are kept.

Metres give a model that answers in metres. Relative depth, 8 bit maps or a teacher, gives one that
answers in relative depth: people still stand on the floor at fitting sizes, without any metres.

## Then
In the section `prepare` of `params.yaml` set `source: photos`, and under `photos` name the teacher,
if there is one, and the camera. The numbers under `splits` are weights: 200, 20, 20 puts ten of
twelve into train.

    dvc add FOLDER/bg FOLDER/fg FOLDER/depth # versions the pictures; git keeps the .dvc files
    dvc repro prepare      # checks everything; what to mend is listed with its file
    dvc repro              # trains, compares, exports

Look at `data/prepared/contact_sheet.png` before you train.
"""


def init_photos(folder: Path) -> list[Path]:
    """Make the folders and the guide, and return what was made; what is there stays as it is."""
    guide = folder / GUIDE
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder")
    others = [path for path in folder.glob("*") if not path.name.startswith(".")]
    ours = guide.is_file() and guide.read_bytes().startswith(_TITLE.encode())
    if others and not ours and not (folder / "bg").is_dir():
        raise InputError(f"{folder} holds something else than photographs: name an empty folder")
    made = []
    for path in (folder, *(folder / name for name in ("bg", "fg", "depth"))):
        if not path.is_dir():
            path.mkdir(parents=True)
            made.append(path)
    if not guide.exists():
        with replaced_file(guide) as temporary:
            temporary.write_text(_GUIDE.replace("FOLDER", folder.as_posix()), encoding="utf-8")
        made.append(guide)
    return made


class Finding(NamedTuple):
    """A remark about a file: an `error` stops the ingestion, a `warning` or a `note` does not."""

    level: str
    code: str
    file: str
    text: str


class Findings:
    """Remarks collected on the way, for a table and for the CSV file `path`."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder, self.path = folder, path
        self.rows: list[Finding] = []

        self.error, self.warn, self.note = (partial(self._add, level) for level in _STYLES)

    def _add(self, level: str, code: str, file: Path, text: str) -> None:
        """Note one line about a file in the folder; the path at its beginning is dropped."""
        name = file.relative_to(self.folder).as_posix()
        self.rows.append(Finding(level, code, name, text.removeprefix(f"{file} ")))

    def publish(self) -> None:
        """Write the CSV file, errors first, and print the first of it."""
        order = list(_STYLES)
        self.rows.sort(key=lambda row: (order.index(row.level), row.code, row.file))
        with replaced_file(self.path) as path:
            pd.DataFrame(self.rows, columns=Finding._fields).to_csv(path, index=False)
        if not self.rows:
            return
        shown = Table("", Column("file", overflow="fold"), Column("what", overflow="fold"))
        for level, _, file, text in self.rows[:_MOST_SHOWN]:
            shown.add_row(f"[{_STYLES[level]}]{level}[/]", escape(file), escape(text))
        counts = Counter(row.level for row in self.rows)
        told = ", ".join(f"{count} {level}{'s' * (count > 1)}" for level, count in counts.items())
        console = Console(stderr=True)
        console.print(shown)
        # beside the table, whose width would wrap them
        console.print(f"{self.folder}: {told}, all in {self.path}", markup=False, soft_wrap=True)

    def stop_on_errors(self) -> None:
        """Publish and raise InputError if there is an error: how many, and the first of them."""
        count = sum(row.level == "error" for row in self.rows)
        if count:
            self.publish()
            first = f"the first: {self.rows[0].file} {self.rows[0].text} (all are in {self.path})"
            raise InputError(f"{self.folder} has {count} error{'s' * (count > 1)}, {first}")


def list_photos(folder: Path, findings: Findings) -> tuple[list[Path], list[Path], dict[str, Path]]:
    """List plates, cutouts, and depth maps by their plates' stems; what is not used is a finding.

    Raises:
        InputError: there is no such folder, or no picture in `bg/` or `fg/`.
    """
    for name in ("bg", "fg", "depth"):
        if (folder / name).is_dir():
            continue
        if (folder / f"{name}.dvc").is_file() or (folder / name).is_symlink():
            raise InputError(f"{folder / name} is away: run `dvc checkout`, or `dvc pull`")
        if name != "depth":
            lack = f"has no folder {name}" if folder.is_dir() else "is no folder"
            raise InputError(f"{folder} {lack}: prepare it with `depthmask init photos {folder}`")
    plates = _files(folder / "bg", SUFFIXES, findings)
    cutouts = _files(folder / "fg", (".png",), findings)
    depths = _files(folder / "depth", (".npy", ".png", ".tif", ".tiff"), findings)
    for name, files in (("bg", plates), ("fg", cutouts)):
        if not files:
            findings.stop_on_errors()  # which may be why
            what = "pictures of empty rooms" if name == "bg" else "PNG files of people with alpha"
            raise InputError(f"{folder / name} is empty: put {what} into it")
    by_stem = {path.stem: path for path in depths}
    for stem in by_stem.keys() - {path.stem for path in plates}:
        findings.warn("depth-without-plate", by_stem.pop(stem), f"is ignored: bg/ has no {stem}")
    for path in plates if by_stem else []:
        if path.stem not in by_stem:
            text = f"has no depth map, others have: add depth/{path.stem}.png, or move depth/ away"
            findings.error("depth-missing", path, text)
    return plates, cutouts, by_stem


def _files(folder: Path, suffixes: tuple[str, ...], findings: Findings) -> list[Path]:
    """The files with such suffixes; hidden ones, and what DVC keeps, are passed over in silence."""
    wanted: dict[str, Path] = {}
    num_others = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        suffix = path.suffix.lower()
        if path.name.startswith(".") or suffix == ".dvc" or path.name == "Thumbs.db":
            continue
        shown = path.name.encode(errors="replace").decode()
        if shown != path.name:
            findings.error("name", path.with_name(shown), "has a name that is not UTF-8: rename it")
        elif path.is_dir():
            findings.warn("folder", path, "is ignored: files in folders are not looked for")
        elif path.is_symlink() and not path.exists():
            findings.error("link", path, DEAD_LINK)
        elif suffix in suffixes:
            if wanted.setdefault(path.stem, path) is not path:
                text = f"has the same name as {wanted[path.stem].name}: rename or remove one"
                findings.error("duplicate-name", path, text)
        elif suffix in _UNREAD:
            takes = ", ".join(end[1:] for end in suffixes)
            findings.warn("format", path, f"is ignored: {folder.name}/ takes {takes}")
        else:
            num_others += 1
    if num_others:
        findings.note("no-picture", folder, f"{num_others} files that are no pictures are ignored")
    return list(wanted.values())
