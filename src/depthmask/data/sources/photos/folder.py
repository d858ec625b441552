"""The folder of photographs: made with a guide, listed, and all that is wrong in it at once."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from depthmask.data.scenes.images import SUFFIXES
from depthmask.errors import InputError

_TAKEN = {"bg": SUFFIXES, "fg": (".png",), "depth": (".npy", ".png", ".tif", ".tiff")}
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


def init_photos(folder: Path) -> Path:
    """Make the folders and the guide, and return its path; what is there stays as it is."""
    guide, names = folder / "README.md", {path.name for path in folder.glob("[!.]*")}
    if names and names.isdisjoint(_TAKEN):
        raise InputError(f"{folder} holds something else than photographs: name an empty folder")
    for name in _TAKEN:
        (folder / name).mkdir(parents=True, exist_ok=True)
    if not guide.exists():
        guide.write_text(_GUIDE.replace("FOLDER", folder.as_posix()), encoding="utf-8")
    return guide


def warn(path: Path, text: str) -> None:
    print(f"warning: {path} {text}", file=sys.stderr)


@contextmanager
def collected(errors: list[str]) -> Iterator[None]:
    """What the block cannot read joins `errors`, each once."""
    try:
        yield
    except InputError as error:
        errors.extend({str(error)}.difference(errors))


def stop_on_errors(folder: Path, errors: list[str]) -> None:
    """Print the errors; InputError says how many there are in `folder`, and the first of them."""
    if errors:
        print("\n".join(f"error: {error}" for error in errors), file=sys.stderr)
        raise InputError(f"{folder} has errors: {len(errors)}, listed above, such as: {errors[0]}")


def list_photos(folder: Path, errors: list[str]) -> list[dict[str, Path]]:
    """The plates, the cutouts and the depth maps, by name; what is not used is told.
    InputError if there is no such folder, or no picture in `bg/` or `fg/`."""
    files: list[dict[str, Path]] = []
    for name, suffixes in _TAKEN.items():
        home, taken = folder / name, dict[str, Path]()
        if not home.is_dir() and (folder / f"{name}.dvc").is_file():
            raise InputError(f"{home} is away: run `dvc checkout`, or `dvc pull`")
        if not home.is_dir() and name != "depth":
            raise InputError(f"{home} is missing: make it with `depthmask init photos {folder}`")
        for path in sorted(home.glob("[!.]*")):
            if path.suffix.lower() not in suffixes:
                if path.suffix != ".dvc":
                    warn(path, f"is ignored: {name}/ takes {', '.join(suffixes)}")
            elif (other := taken.setdefault(path.stem, path)) is not path:
                errors.append(f"{path} has the same name as {other.name}: rename or remove one")
        if not taken and name != "depth":
            raise InputError(f"{home} is empty: put pictures into it ({', '.join(suffixes)})")
        files.append(taken)
    plates, _, maps = files
    for stem in maps.keys() - plates.keys():
        warn(maps.pop(stem), f"is ignored: bg/ has no {stem}")
    for stem in plates.keys() - maps.keys() if maps else ():
        text = f"has no depth map, others have: add depth/{stem}.png, or move depth/ away"
        errors.append(f"{plates[stem]} {text}")
    return files
