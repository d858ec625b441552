"""The museum: rooms and people rendered with Mitsuba, with exact depth and masks.

Importing it sets Mitsuba's variant to `scalar_rgb`.
"""

from depthmask.data.sources.museum.jobs import Job, run_jobs
from depthmask.data.sources.museum.render import (
    InScene,
    render_cutout,
    render_empty,
    render_in_scene,
    render_plate,
)

__all__ = [
    "InScene",
    "Job",
    "render_cutout",
    "render_empty",
    "render_in_scene",
    "render_plate",
    "run_jobs",
]
