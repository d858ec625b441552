"""Which strengths lie within what the training's scenes were drawn from."""

from depthmask.config import CompositorParams
from depthmask.evaluation.robustness.frames import NEUTRAL


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
        self.params, self.nobody, self.shadow = params, nobody, shadow
        self.farthest: dict[str, float] = {}
        if params is None:
            return
        motion, light = params.plate_motion, params.plate_light
        for name, p, strength in (
            # either way across and up: of what is drawn aslant, farther still, not all was drawn
            ("shift", motion.p, motion.shift * size),
            ("rotation", motion.p, motion.degrees),
            ("exposure", light.p, light.gain),
            # red up and blue down, each by the most
            ("temperature", light.p, 2 * light.tint),
            ("noise", params.noise.p, params.noise.sigma),
        ):
            self.farthest[name] = strength if p > 0 else 0.0

    def hold(self, condition: str, strength: float) -> bool:
        """Whether the training drew frames changed so far; no change always counts as drawn.

        JPEG, camouflage and two people are nothing that a training of ours draws.
        """
        if condition == "nobody":
            return self.nobody > 0 and self.hold("exposure", strength)
        if strength == NEUTRAL[condition]:
            return True
        if condition == "shadow" and self.params is not None:
            drawn = self.params.shadow
            if strength == 0:
                return drawn.p < 1 or drawn.strength == 0
            return drawn.p > 0 and 1 - (1 - self.shadow) ** strength <= drawn.strength
        return condition in self.farthest and abs(strength) <= self.farthest[condition]
