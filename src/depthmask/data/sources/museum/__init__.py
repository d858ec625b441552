"""The museum: rooms and people rendered with Mitsuba, with exact depth and masks.

Importing it sets Mitsuba's variant to `scalar_rgb`.
"""

from depthmask.data.sources.museum.render import (
    InScene,
    Job,
    render_cutout,
    render_empty,
    render_in_scene,
    render_plate,
    run_jobs,
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
