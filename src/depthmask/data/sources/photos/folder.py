"""The folder of photographs: made with a guide, listed, and all that is wrong in it at once."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.images import DEAD_LINK, SUFFIXES
from depthmask.errors import InputError

GUIDE = "README.md"

_TAKEN = {"bg": SUFFIXES, "fg": (".png",), "depth": (".npy", ".png", ".tif", ".tiff")}
_MOST_SHOWN = 30
_GUIDE = """# Photographs for depthmask

- `bg/`: empty rooms ("plates") as jpg, png, webp, tif or bmp, at least `prepare.size` pixels on the
  shorter side. Camera level, as high as the real one will be, floor in the lower half.
- `fg/`: one person each, background cut out, as png with a straight alpha channel: whole, standing,
  upright, at eye level, nothing in front, even light.
- `depth/`: a map of every plate, all of it, of any size: `depth/hall.png` belongs to `bg/hall.jpg`.
  All in one unit: 16 bit png or tif are millimetres, 0 not measured; float npy or tif metres; 8 bit
  png or tif relative inverse depth as depth networks draw it, 255 the nearest point.
- Or no maps but **a teacher**: a depth network as an ONNX file with Depth Anything V2's input and
  output (Small is enough; mind its licence), whose inverse depth makes a model of relative depth.

A plate's middle square is used. No two files of a folder share a name (`a.jpg` and `a.png`). HEIC
and raw files are not read: export them as JPEG. At least 3 plates and 3 people, better 20 or 100 of
each: train, val and test share none, and near-duplicates count as one.

Then, in the section `prepare` of `params.yaml`, set `source: photos`, and under `photos` name the
teacher, if there is one, and the camera. The numbers under `splits` are weights.

    dvc add FOLDER/bg FOLDER/fg FOLDER/depth # versions the pictures; git keeps the .dvc files
    dvc repro prepare      # checks everything; look at data/prepared/contact_sheet.png
"""


def init_photos(folder: Path) -> list[Path]:
    """Make the folders and the guide, and return what was made; what is there stays as it is."""
    guide = folder / GUIDE
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder")
    names = {path.name for path in folder.glob("[!.]*")}
    if names and names.isdisjoint(_TAKEN):
        raise InputError(f"{folder} holds something else than photographs: name an empty folder")
    made = [path for path in (folder, *(folder / name for name in _TAKEN)) if not path.is_dir()]
    for path in made:
        path.mkdir(parents=True)
    if not guide.exists():
        with replaced_file(guide) as temporary:
            temporary.write_text(_GUIDE.replace("FOLDER", folder.as_posix()), encoding="utf-8")
        made.append(guide)
    return made


class Finding(NamedTuple):
    """A remark about a file: an `error` stops the ingestion, a `warning` does not."""

    level: str
    code: str
    file: str
    text: str


class Findings:
    """Remarks on files of `folder`, collected on the way, for the CSV file `path`."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder, self.path, self.rows = folder, path, list[Finding]()
        self.error, self.warn = (partial(self._add, level) for level in ("error", "warning"))

    def _add(self, level: str, code: str, file: Path, text: str) -> None:
        name = file.relative_to(self.folder).as_posix()
        self.rows.append(Finding(level, code, name, text.removeprefix(f"{file} ")))

    @contextmanager
    def caught(self, code: str, file: Path) -> Iterator[None]:
        """What the block cannot read is an error of the file."""
        try:
            yield
        except InputError as error:
            self.error(code, file, str(error))

    def publish(self) -> None:
        """Write the CSV file, errors first, and print the first of it."""
        self.rows.sort()
        with replaced_file(self.path) as path:
            pd.DataFrame(self.rows, columns=Finding._fields).to_csv(path, index=False)
        for level, _, file, text in self.rows[:_MOST_SHOWN]:
            print(f"{level}: {file} {text}", file=sys.stderr)
        if self.rows:
            counts = Counter(row.level for row in self.rows)
            told = (f"{count} {level}{'s' * (count > 1)}" for level, count in counts.items())
            print(f"{self.folder}: {', '.join(told)}, all in {self.path}", file=sys.stderr)

    def stop_on_errors(self) -> None:
        """Publish and raise InputError if there is an error: how many, and the first of them."""
        count = sum(row.level == "error" for row in self.rows)
        if count:
            self.publish()
            first = f"the first: {self.rows[0].file} {self.rows[0].text} (all are in {self.path})"
            raise InputError(f"{self.folder} has {count} error{'s' * (count > 1)}, {first}")


def list_photos(folder: Path, findings: Findings) -> list[dict[str, Path]]:
    """The plates, the cutouts and the depth maps, by name; what is not used is a finding.
    InputError if there is no such folder, or no picture in `bg/` or `fg/`."""
    plates, _, maps = files = [_files(folder / name, findings) for name in _TAKEN]
    for stem in maps.keys() - plates.keys():
        findings.warn("depth-without-plate", maps.pop(stem), f"is ignored: bg/ has no {stem}")
    for stem in plates.keys() - maps.keys() if maps else ():
        text = f"has no depth map, others have: add depth/{stem}.png, or move depth/ away"
        findings.error("depth-missing", plates[stem], text)
    return files


def _files(folder: Path, findings: Findings) -> dict[str, Path]:
    """The files that are taken; hidden ones, and what DVC keeps, are passed over in silence."""
    if not folder.is_dir():
        home, name = folder.parent, folder.name
        if (home / f"{name}.dvc").is_file() or folder.is_symlink():
            raise InputError(f"{folder} is away: run `dvc checkout`, or `dvc pull`")
        if name != "depth":
            lack = f"has no folder {name}" if home.is_dir() else "is no folder"
            raise InputError(f"{home} {lack}: prepare it with `depthmask init photos {home}`")
    files: dict[str, Path] = {}
    suffixes = _TAKEN[folder.name]
    takes = ", ".join(suffix[1:] for suffix in suffixes)
    for path in sorted(folder.glob("[!.]*")):
        if path.suffix == ".dvc" or path.name == "Thumbs.db":
            continue
        shown = path.name.encode(errors="replace").decode()
        if shown != path.name:
            findings.error("name", path.with_name(shown), "has a name that is not UTF-8: rename it")
        elif path.is_dir():
            findings.warn("folder", path, "is ignored: files in folders are not looked for")
        elif path.is_symlink() and not path.exists():
            findings.error("link", path, DEAD_LINK)
        elif path.suffix.lower() not in suffixes:
            findings.warn("format", path, f"is ignored: {folder.name}/ takes {takes}")
        elif (other := files.setdefault(path.stem, path)) is not path:
            text = f"has the same name as {other.name}: rename or remove one"
            findings.error("duplicate-name", path, text)
    if not files and folder.name != "depth":
        findings.stop_on_errors()  # which may be why
        raise InputError(f"{folder} is empty: put pictures into it ({takes})")
    return files
