"""MODEST: the original data set's own layout, read as it is (see `layout`)."""

from depthmask.data.sources.modest.checking import check_images
from depthmask.data.sources.modest.decoding import image_side, read_image
from depthmask.data.sources.modest.layout import FOLDERS, read_layout
from depthmask.data.sources.modest.splitting import draw_sets, split_sources

__all__ = [
    "FOLDERS",
    "check_images",
    "draw_sets",
    "image_side",
    "read_image",
    "read_layout",
    "split_sources",
]
