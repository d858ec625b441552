"""A recipe as files, in the original data set's layout, for tools that read files.

run       what is asked for
files     a scene as image files: names, encodings, sums for the statistics
painter   scenes as the compositor composes them, faster on a CPU that trains nothing
written   what is in the folder already: a killed run is continued, another recipe refused
writing   the workers that paint and write
report    file_map.txt, bbox.txt, statistics and pictures of what was written
"""

from depthmask.data.materialise.report import rich_table
from depthmask.data.materialise.run import Materialised, materialise, plain_shots

__all__ = ["Materialised", "materialise", "plain_shots", "rich_table"]
