"""Which strengths lie within what the training's scenes were drawn from."""

import math

from depthmask.evaluation.robustness.frames import NEUTRAL
from depthmask.params import CompositorParams


class TrainedRanges:
    """What a training has seen, from its own settings.

    Args:
        params: the compositor's; None for a training on files, whose light and place nobody knows.
        nobody: share of the training's frames with nobody in them.
        size: side of a frame, px.
        shadow: how dark the typical true shadow is, a share of the light taken away, 0 to 1.
    """

    def __init__(
        self, params: CompositorParams | None, *, nobody: float, size: int, shadow: float
    ) -> None:
        self.nobody, self.shadow = nobody, shadow
        self.farthest = {"shift": 0.0, "rotation": 0.0, "exposure": 0.0, "temperature": 0.0,
                         "noise": 0.0}  # fmt: skip
        self.darkest, self.always_shadow = 0.0, False
        if params is None:
            return
        if params.plate_motion.p > 0:
            # both axes are drawn apart: the corner is the farthest
            self.farthest["shift"] = math.sqrt(2) * params.plate_motion.shift * size
            self.farthest["rotation"] = params.plate_motion.degrees
        if params.plate_light.p > 0:
            self.farthest["exposure"] = params.plate_light.gain
            # red up and blue down, each by the most
            self.farthest["temperature"] = 2 * params.plate_light.tint
        if params.noise.p > 0:
            self.farthest["noise"] = params.noise.sigma
        if params.shadow.p > 0:
            self.darkest = params.shadow.strength
            self.always_shadow = params.shadow.p == 1 and self.darkest > 0

    def hold(self, condition: str, strength: float) -> bool:
        """Whether the training drew frames changed so far; no change always counts as drawn.

        JPEG, camouflage and two people are nothing that a training of ours draws.
        """
        if condition == "nobody":
            return self.nobody > 0 and self.hold("exposure", strength)
        if strength == NEUTRAL[condition]:
            return True
        if condition == "shadow":
            if strength == 0:
                return not self.always_shadow
            return 1 - (1 - self.shadow) ** strength <= self.darkest
        return abs(strength) <= self.farthest.get(condition, -math.inf)
