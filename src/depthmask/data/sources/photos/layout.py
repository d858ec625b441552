"""`depthmask init photos DIR`: an empty folder of photographs, and what to put where."""

from pathlib import Path

from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError

FOLDERS = ("bg", "fg", "depth")

GUIDE = "README.md"

_TITLE = "# Photographs for depthmask"

_TEXT = f"""{_TITLE}

Put your pictures into these folders, then say so in `params.yaml`.

| folder | what | files |
|---|---|---|
| `bg/` | empty rooms ("plates"), nobody in them | jpg, jpeg, png, webp, tif, tiff, bmp |
| `fg/` | one standing person each, background cut out | png with an alpha channel |
| `depth/` | may stay empty: the depth of a plate, with the plate's name | png, npy, tif, tiff |

Any size and aspect, 8 or 16 bits, colour or grey; pictures are turned as their EXIF orientation
says. A plate's middle square is used. Two files of a folder must not share a name (`a.jpg` and
`a.png`). HEIC and raw files are not read: export them as JPEG.

## How many
At least 3 plates and 3 people, since nobody and no room is in two of train, val and test. With 20
of each the pipeline says something; with 100 of each it says it about rooms and people that it has
not seen. Near-duplicates are kept in one split, so ten pictures of one wall count as one.

## How to photograph
- Plates: camera on a tripod or held level, at the height that the real camera will have, floor in
  the lower half of the picture. The shorter side needs at least `prepare.size` pixels.
- People: the whole person from head to feet, standing, upright, at eye level, nothing in front,
  even light. Cut out with any tool that saves a PNG with transparency. A matte that ends softly at
  the hair is good; a person cut off by the picture's edge is not.

## Depth: one of the two
1. **Depth maps** in `depth/`, one for every plate, of the whole picture (any resolution):
   `depth/hall.png` belongs to `bg/hall.jpg`. All in one unit:
   - 16 bit png or tif: millimetres; 0 means not measured;
   - float npy or tif: metres;
   - 8 bit png or tif: relative inverse depth as depth networks draw it, 255 the nearest point.
2. **A teacher**: a depth network as an ONNX file with the contract of Depth Anything V2 (Small is
   enough): one input, float32 N x 3 x H x W, RGB normalised with ImageNet's mean and deviation,
   sides multiples of 14; one output, float32 N x H x W, inverse depth, larger is nearer. The
   model's authors and others publish such exports; you may also export the PyTorch model yourself
   with torch.onnx. Mind its licence. It runs once a plate, on this machine; answers are kept.

Depth in metres gives a model that answers in metres. Relative depth, 8 bit maps or a teacher,
gives one that answers in relative depth: people still stand on the floor at fitting sizes, and no
figure in metres is reported.

## Parameters, in the section `prepare` of `params.yaml`

    source: photos
    photos:
      teacher: null # or the name of the ONNX file, in this folder
      teacher_size: 518 # px, a multiple of 14
      teacher_batch: 4
      fov_degrees: 60.0 # of the camera, across a picture's shorter side
      camera_height_m: 1.6 # where the depth does not tell
      person_height_m: [1.6, 1.8] # shortest and tallest of your people

The numbers under `prepare.splits` are weights: 200, 20, 20 puts ten of twelve into train.

## Then

    dvc add FOLDER/bg FOLDER/fg FOLDER/depth # versions the pictures; git keeps the .dvc files
    dvc repro prepare      # checks everything; what to mend is listed with its file
    dvc repro              # trains, compares, exports

Look at `data/prepared/contact_sheet.png` before you train.
"""


def init_photos(folder: Path) -> list[Path]:
    """Make the folders and the guide; what is there already stays as it is.

    Returns:
        what was made, in the order of making.

    Raises:
        InputError: the folder holds something else, or is a file.
    """
    guide = folder / GUIDE
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder")
    full = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if full and not _is_ours(folder):
        raise InputError(
            f"{folder} is not empty and no folder of photographs: name a new or an empty one"
        )
    made = []
    for path in (folder, *(folder / name for name in FOLDERS)):
        if not path.is_dir():
            path.mkdir(parents=True)
            made.append(path)
    if not guide.exists():
        with replaced_file(guide) as temporary:
            temporary.write_text(_TEXT.replace("FOLDER", folder.as_posix()), encoding="utf-8")
        made.append(guide)
    return made


def _is_ours(folder: Path) -> bool:
    """A folder with our guide, or with bg/ and fg/ as a user may have made them."""
    guide = folder / GUIDE
    if guide.is_file() and guide.read_text(encoding="utf-8", errors="replace").startswith(_TITLE):
        return True
    return (folder / "bg").is_dir() and (folder / "fg").is_dir()
