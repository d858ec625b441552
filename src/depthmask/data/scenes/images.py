"""Image files in and out: whatever a camera or an editor wrote becomes uint8 H x W x 3."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from depthmask.errors import InputError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_FARTHEST_MM = np.iinfo(np.uint16).max


def read_rgb(path: Path) -> np.ndarray:
    """Read an image as uint8, H x W x 3, RGB, upright.

    The camera's orientation tag is obeyed, palette, grey and CMYK become RGB, transparency is
    dropped, 16 bits a channel become 8.

    Raises:
        InputError: the file is missing, no image, or damaged.
    """
    image = open_upright(path)
    if image.mode in _DEEP:
        image = Image.fromarray(_eight_bits(image))
    elif image.mode == "F":
        raise InputError(f"{path} holds floating-point pixels: save it with 8 or 16 bits")
    return np.array(image.convert("RGB"))


def read_rgba(path: Path) -> np.ndarray:
    """Read an image as uint8, H x W x 4, RGB and straight alpha, upright.

    Raises:
        InputError: the file is missing, no image, damaged, or without transparency.
    """
    image = open_upright(path)
    if not image.has_transparency_data:
        raise InputError(
            f"{path} has no alpha channel: cut the person out and save a PNG with transparency"
        )
    if image.mode in _DEEP:  # Pillow would clip the sixteen bits of a grey picture
        grey = Image.fromarray(_eight_bits(image))
        transparent = np.asarray(image) == image.info.get("transparency", -1)
        alpha = Image.fromarray(np.where(transparent, 0, 255).astype(np.uint8))
        return np.array(Image.merge("RGBA", (grey, grey, grey, alpha)))
    return np.array(image.convert("RGBA"))


def _eight_bits(image: Image.Image) -> np.ndarray:
    grey = np.asarray(image).astype(np.int64)
    # 65535 is 255: 257 a step. A file of mode I may as well hold 0 to 255.
    grey = (grey + 128) // 257 if image.mode != "I" or grey.max() > 255 else grey
    return grey.clip(0, 255).astype(np.uint8)


def open_upright(path: Path) -> Image.Image:
    """Open and decode an image, its mode as in the file, turned as its orientation tag says.

    Raises:
        InputError: the file is missing, no image, or damaged.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: name an image file in it")
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: check the path") from None
    # What Pillow's readers raise on files that are no image, cut short, damaged or oversized.
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        raise InputError(
            f"{path} cannot be read as an image: give a PNG, JPEG, WebP, TIFF or BMP that opens"
        ) from None


def encode_mask(mask: np.ndarray) -> Image.Image:
    """float H x W, 0 to 1, as 8 bits: 255 is person."""
    return Image.fromarray(np.rint(mask.clip(0, 1) * 255).astype(np.uint8))


def encode_depth(depth: np.ndarray) -> Image.Image:
    """float H x W as 16 bits in thousandths: metres become millimetres.

    65.535 m stands for all that is farther.
    """
    return Image.fromarray(np.rint(depth * 1000).clip(0, _FARTHEST_MM).astype(np.uint16))
