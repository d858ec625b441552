"""Image files in and out: whatever a camera or an editor wrote becomes uint8 H x W x 3."""

import math
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from depthmask.errors import InputError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
DEAD_LINK = "is a link to a file that is away: run `dvc checkout`, or `dvc pull`"
# what Pillow's readers raise on files that are no image, cut short, damaged or oversized
UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")
# Pillow warns above 89 megapixels and refuses above 179
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_12_BITS = "has 16 bits and uses 12 of them or fewer, nearly black: save it with 8, or stretched"


def read_rgb(path: Path) -> np.ndarray:
    """Read an image as uint8, H x W x 3, RGB, upright; InputError says what cannot be read."""
    image = open_upright(path)
    if image.mode == "F":
        raise InputError(f"{path} holds floating-point pixels: save it with 8 or 16 bits")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise InputError(f"{path} is transparent in places, as no camera sees: save it without")
    return np.array(_eight_bits(image, path).convert("RGB"))


def read_rgba(path: Path) -> np.ndarray:
    """Read an image with transparency as uint8, H x W x 4, RGB and straight alpha, upright."""
    image = open_upright(path)
    if not image.has_transparency_data:
        what = "has no alpha channel: cut the person out and save a PNG with transparency"
        raise InputError(f"{path} {what}")
    rgba = _eight_bits(image, path).convert("RGBA")
    if image.mode in _DEEP:
        rgba.putalpha(Image.fromarray(np.asarray(image) != image.info["transparency"]))
    return np.array(rgba)


def read_depth(path: Path) -> np.ndarray:
    """Read depth as float32, H x W, metres, of 16 bits in millimetres or of floats in metres, a
    picture or .npy; 0 or no number is unknown. InputError if it is neither or all is unknown."""
    if path.suffix.lower() == ".npy":
        try:
            depth = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            depth = np.array([])
        if depth.ndim != 2 or depth.dtype.kind != "f":
            raise InputError(f"{path} holds no floats, H x W: save metres with numpy.save")
    else:
        image = open_upright(path)
        if image.mode != "F" and image.mode not in _DEEP:
            raise InputError(f"{path} has 8 bits: depth is 16 bits in millimetres or floats in m")
        depth = np.asarray(image) / (1 if image.mode == "F" else 1000)
    if not (np.isfinite(depth) & (depth > 0)).any():
        raise InputError(f"{path} knows no depth: every pixel is 0 or no number")
    return depth.astype(np.float32)


def read_fov(path: Path, shape: tuple[int, ...]) -> float | None:
    """The horizontal field of view in degrees by the EXIF of a picture that is H x W px upright,
    None if it does not tell."""
    with Image.open(path) as image:
        tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    focal_mm = tags.get(ExifTags.Base.FocalLengthIn35mmFilm)
    if not isinstance(focal_mm, int) or focal_mm <= 0:
        return None
    # of film 36 x 24 mm with the same diagonal, as the standard has it
    width_mm = math.hypot(36, 24) * shape[1] / math.hypot(*shape[:2])
    return math.degrees(2 * math.atan(width_mm / 2 / focal_mm))


def open_upright(path: Path, least: int | None = None) -> Image.Image:
    """Decode an image, its mode as in the file, turned as its orientation tag says; a JPEG at an
    eighth, a quarter or half its size where `least` px a side are enough."""
    try:
        with Image.open(path) as image:
            deep = ";16" in str(image.tile)
            if least:
                image.draft(None, (least, least))
            image.load()
            try:
                upright = ImageOps.exif_transpose(image)
            except UNREADABLE:  # its EXIF is damaged
                upright = image.copy()
    except PermissionError:
        raise  # no damage: `exit_on_error` says what to mend
    except FileNotFoundError:
        what = DEAD_LINK if path.is_symlink() else "is missing: check the path"
        raise InputError(f"{path} {what}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: name an image file in it") from None
    except UNREADABLE:
        what = "cannot be read as an image: give a PNG, JPEG, WebP, TIFF or BMP that opens"
        raise InputError(f"{path} {what}") from None
    # of 16 bits in several channels Pillow keeps 8
    if deep and upright.mode not in _DEEP and np.max(upright.convert("RGB").getextrema()) < 16:
        raise InputError(f"{path} {_12_BITS}")
    return upright


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    if image.mode not in _DEEP:
        return image
    grey = np.asarray(image).astype(np.int64)
    if grey.max() < 4096:
        raise InputError(f"{path} {_12_BITS}")
    return Image.fromarray(((grey + 128) // 257).clip(0, 255).astype(np.uint8))


def encode_mask(mask: np.ndarray) -> Image.Image:
    """float H x W, 0 to 1, as 8 bits: 255 is person."""
    return Image.fromarray(np.rint(mask.clip(0, 1) * 255).astype(np.uint8))


def encode_depth(depth: np.ndarray) -> Image.Image:
    """float H x W as 16 bits in thousandths, metres as millimetres; 65535 is that or farther."""
    thousandths = depth * 1000
    np.rint(thousandths, out=thousandths)
    return Image.fromarray(np.clip(thousandths, 0, 65535, out=thousandths).astype(np.uint16))
