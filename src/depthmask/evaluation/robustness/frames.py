"""The frames that are made harder, and every condition they are put under."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from depthmask.config import Robustness
from depthmask.data.composition.eval_sets import SceneSets
from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.robustness.conditions import CONDITIONS, Draws, as_taken, harder
from depthmask.evaluation.robustness.people import can_stand_together, together

NEUTRAL = {
    **{name: condition.neutral for name, condition in CONDITIONS.items()},
    "two_people": 1.0,
    "nobody": 0.0,
}
"""Every condition, in the order of tables, and the strength that leaves the frames as they are."""


class Frames(NamedTuple):
    """What there is to make harder, on the CPU: what is drawn there is the same for any device.

    Attributes:
        scene: of the headline set.
        pairs: scenes of that set, and their rooms in the same shots with somebody else in them;
            None where no room has two who fit in together.
        empty: rooms with nobody in them; None where the source has no such frames.
    """

    scene: Scene[Tensor]
    pairs: tuple[Scene[Tensor], Scene[Tensor]] | None
    empty: Scene[Tensor] | None

    @classmethod
    def of(cls, sets: SceneSets, count: int) -> "Frames":
        """Take up to `count` of each kind, spread evenly."""
        batches = []
        for one, other in sets.pairs(sets.headline):
            fit = can_stand_together(one, other)
            if fit.any():
                batches.append(tuple(Scene(*(f[fit] for f in scene)) for scene in (one, other)))
        one, other = zip(*batches, strict=True) if batches else ((), ())
        empty = list(sets.empty_scenes())
        return cls(
            _some(_joined(sets.scenes(sets.headline)), count),
            (_some(_joined(one), count), _some(_joined(other), count)) if batches else None,
            _some(_joined(empty), count) if empty else None,
        )

    def only(self, place: int) -> "Frames":
        """One frame, with its partner, and its room empty where there is such a frame."""

        def alike(images: Tensor, image: Tensor) -> slice:
            same = (images == image).flatten(1).all(1).nonzero()
            first = int(same[0]) if len(same) else 0
            return slice(first, first + 1)

        scene = _at(self.scene, slice(place, place + 1))
        pairs, empty = self.pairs, self.empty
        if pairs is not None:
            at = alike(pairs[0].bg_fg, scene.bg_fg)
            pairs = _at(pairs[0], at), _at(pairs[1], at)
        if empty is not None:
            empty = _at(empty, alike(empty.bg, scene.bg))
        return Frames(scene, pairs, empty)


class Case(NamedTuple):
    """Scenes under one condition at one strength."""

    condition: str
    strength: float
    scene: Scene[Tensor]


def cases(frames: Frames, params: Robustness) -> Iterator[Case]:
    """Each condition at each of its strengths, the neutral one among them.

    Two conditions have no strengths of their own: `two_people` has 1 and 2 people in the frame,
    `nobody` the plate in the light of each strength of `exposure`.

    Wherever nothing is changed the case's scene is `frames.scene` itself.
    """
    draws = Draws.of(frames.scene, params.seed)
    for name, strengths in params.conditions.items():
        for strength in sorted({*strengths, NEUTRAL[name]}):
            yield Case(name, strength, harder(frames.scene, name, strength, draws))
    if frames.pairs is not None:
        first, second = frames.pairs
        # where no room is left out the first are the very scenes, whose figures are known
        alone = frames.scene if torch.equal(first.bg_fg, frames.scene.bg_fg) else first
        yield Case("two_people", 1.0, alone)
        yield Case("two_people", 2.0, as_taken(together(first, second)))
    if frames.empty is not None:
        draws = Draws.of(frames.empty, params.seed)
        for strength in sorted({*params.conditions.get("exposure", ()), NEUTRAL["nobody"]}):
            yield Case("nobody", strength, harder(frames.empty, "exposure", strength, draws))


def _joined(batches: Iterable[Scene[Tensor]]) -> Scene[Tensor]:
    """Every batch in one, on the CPU."""
    fields = zip(*batches, strict=True)
    return Scene(*(torch.cat([part.cpu() for part in field]) for field in fields))


def _some(scene: Scene[Tensor], count: int) -> Scene[Tensor]:
    """Up to `count` scenes, spread evenly."""
    total = len(scene.mask)
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return _at(scene, torch.from_numpy(chosen))


def _at(scene: Scene[Tensor], places: Tensor | slice) -> Scene[Tensor]:
    return Scene(*(field[places] for field in scene))
