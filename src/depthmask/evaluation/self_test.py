"""Metrics are put to the test on the scenes they measure: the truth wins, or one is refused.

The figures of the original system rose for an all-white depth map (soft IoU 0.667 over the
truth's 0.649): whoever trusts a figure must be able to see that it cannot be had that way.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from depthmask.data.scenes.person import largest_region
from depthmask.data.scenes.scene import Scene
from depthmask.errors import MetricRefused
from depthmask.metrics import METRICS, Alignment, Metric, align_depth, score_scenes
from depthmask.metrics.pixels import is_known

PERFECT = "perfect"
ANSWERS = ("white", "black", "constant", "other_scene", "shuffled")
"""White: person everywhere, all as far as the farthest pixel. Black: nobody, all as near as the
nearest. Constant: the mean share of person, the geometric mean of the depth. Other scene: the
truth of another one. Shuffled: the truth, its pixels in another order."""

_NOISE = 1e-9
"""Relative: rounding, which alignment leaves even in a perfect answer, is no victory."""


class Scorer(Protocol):
    """What gives every metric a value per scene, as `depthmask.metrics.score_scenes` does."""

    def __call__(
        self,
        mask_prob: Tensor,
        depth: Tensor,
        true_mask: Tensor,
        true_depth: Tensor,
        /,
        *,
        threshold: float,
        alignment: Alignment | None,
        names: Collection[str],
    ) -> dict[str, Tensor]: ...


class _Answer(NamedTuple):
    mask: Tensor
    depth: Tensor


def self_test(
    scenes: Iterable[Scene[Tensor]],
    *,
    threshold: float = 0.5,
    alignment: Alignment | None = None,
    metrics: Mapping[str, Metric] = METRICS,
    scorer: Scorer = score_scenes,
    num_scenes: int = 64,
) -> dict[str, dict[str, float]]:
    """Let the truth compete with answers that are wrong, by every metric.

    The truth must be strictly better in the mean, and in no scene may it be beaten. Nor may a
    scene count for one answer and not for another: what is missed would go unpunished. One half
    of an answer is wrong at a time, the mask for a metric of the mask, the depth for the others,
    so that a metric that looks at the wrong half is found out; but white and black answers to a
    metric of the person are wrong in both, as nobody is found in a black mask.

    An answer that is right by a metric is no test of it, and left out: every pixel within the
    metric's tolerance in all scenes, as another scene may be that is the same one. So is a metric
    that counts in none of the scenes, for want of known depth or of people.

    Args:
        scenes: batches of the set that is evaluated, all of one size.
        threshold: a mask's pixel is person above it.
        alignment: of relative depth, see `align_depth`; None for metres.
        metrics: what the scorer measures, by name.
        scorer: under test.
        num_scenes: the first so many scenes compete.

    Returns:
        By metric, what `perfect` and each of `ANSWERS` that is wrong scored: means over scenes.

    Raises:
        MetricRefused: by some metric the truth does not win.
        ValueError: there is no scene.
    """
    true = _first(scenes, num_scenes)
    perfect = _Answer(true.mask, _filled(true, threshold))
    wrong = _wrong_answers(true, perfect)

    def scored(answer: _Answer, names: Collection[str]) -> dict[str, Tensor]:
        options: dict[str, Any] = {"threshold": threshold, "alignment": alignment}
        return scorer(*answer, true.mask, true.depth, **options, names=names)

    best = scored(perfect, metrics.keys())
    result = {
        name: {PERFECT: _mean(values)} for name, values in best.items() if not _no_value(values)
    }
    for part in dict.fromkeys(metrics[name].part for name in result):
        names = [name for name in result if metrics[name].part == part]
        for kind, answer in wrong.items():
            mixed = _mixed(kind, part, answer, perfect)
            figures = scored(mixed, names)
            for name in names:
                if not _is_right(mixed, true, metrics[name], threshold, alignment):
                    _compare(metrics[name], kind, best[name], figures.get(name))
                    result[name][kind] = _mean(figures[name])
    return result


def _no_value(values: Tensor) -> bool:
    return bool(values.isnan().all())


def _compare(metric: Metric, answer: str, perfect: Tensor, wrong: Tensor | None) -> None:
    """Raise unless the truth wins."""
    if wrong is None or not torch.equal(wrong.isnan(), perfect.isnan()):
        raise MetricRefused(
            f"the metric {metric.name} is refused: scenes count for the perfect answer that do"
            f" not for the answer `{answer}`, or the other way round; mend depthmask.metrics"
        )
    sign = 1 if metric.better == "higher" else -1
    ahead = sign * (perfect - wrong)
    noise = _NOISE * (1 + perfect.abs())
    beaten = (ahead < -noise) & ~perfect.isnan()
    lead = sign * (_mean(perfect) - _mean(wrong))
    if beaten.any() or not lead > _NOISE * (1 + abs(_mean(perfect))):
        where = "" if not beaten.any() else f", and beats it in {int(beaten.sum())} scenes"
        raise MetricRefused(
            f"the metric {metric.name} is refused: the answer `{answer}` scores"
            f" {_mean(wrong):.6g} against the perfect answer's {_mean(perfect):.6g}"
            f" ({metric.better} is better){where}; mend depthmask.metrics"
        )


def _mean(values: Tensor) -> float:
    return float(values.nanmean())


def _first(batches: Iterable[Scene[Tensor]], count: int) -> Scene[Tensor]:
    """On the CPU, so that the figures are the same whatever the device."""
    chosen: list[Scene[Tensor]] = []
    missing = count
    for batch in batches:
        chosen.append(Scene(*(field[:missing].cpu() for field in batch)))
        missing -= len(chosen[-1].mask)
        if missing == 0:
            break
    if not chosen:
        raise ValueError("the self-test of the metrics got no scene")
    return Scene(*(torch.cat(fields) for fields in zip(*chosen, strict=True)))


def _filled(true: Scene[Tensor], threshold: float) -> Tensor:
    """The true depth as an answer: a number where it is unknown, which may not matter.

    It is the median of the person's region, which so stays what it is, else that of the frame.
    """
    known = is_known(true.depth)
    filled = true.depth.clone()
    for row in (~known).flatten(1).any(1).nonzero().flatten().tolist():
        plane, seen = true.depth[row, 0], known[row, 0]
        person = largest_region((true.mask[row, 0] > threshold).numpy())
        region = torch.from_numpy(person) & seen
        looked_at = plane[region] if region.any() else plane[seen]
        middle = float(np.median(looked_at.numpy())) if looked_at.numel() else 1.0
        filled[row, 0] = torch.where(seen, plane, middle)
    return filled


def _wrong_answers(true: Scene[Tensor], perfect: _Answer) -> dict[str, _Answer]:
    known = true.depth[is_known(true.depth)]
    known = known if known.numel() else torch.ones(1)  # no depth is measured then
    middle = float(known.double().log().mean().exp())

    def everywhere(mask: float, depth: float) -> _Answer:
        return _Answer(torch.full_like(true.mask, mask), torch.full_like(true.depth, depth))

    order = torch.randperm(true.mask[0].numel(), generator=torch.Generator().manual_seed(0))

    def shuffled(planes: Tensor) -> Tensor:
        return planes.flatten(1)[:, order].view_as(planes)

    return {
        "white": everywhere(1.0, float(known.max())),
        "black": everywhere(0.0, float(known.min())),
        "constant": everywhere(float(true.mask.mean()), middle),
        "other_scene": _Answer(*map(_of_another_scene, perfect)),
        "shuffled": _Answer(*map(shuffled, perfect)),
    }


def _of_another_scene(planes: Tensor) -> Tensor:
    """For each scene the plane of the next one that differs; its own if all are the same."""
    num = len(planes)
    chosen = list(range(num))
    for row in range(num):
        others = ((row + step) % num for step in range(1, num))
        chosen[row] = next((o for o in others if not torch.equal(planes[o], planes[row])), row)
    return planes[chosen]


def _mixed(kind: str, part: str, answer: _Answer, perfect: _Answer) -> _Answer:
    """The half of an answer that a metric's part is tested with; the other half is true."""
    if part == "mask":
        return answer._replace(depth=perfect.depth)
    both = part == "person" and kind in ("white", "black")
    return answer if both else answer._replace(mask=perfect.mask)


def _is_right(
    answer: _Answer,
    true: Scene[Tensor],
    metric: Metric,
    threshold: float,
    alignment: Alignment | None,
) -> bool:
    """Whether an answer is right by a metric in all scenes."""
    if metric.part == "mask":
        return torch.equal(answer.mask > threshold, true.mask > threshold)
    depth = answer.depth.double()
    if alignment is not None:
        depth = align_depth(depth, true.depth, alignment)
    counted = is_known(true.depth)
    if metric.part == "person":
        counted &= true.mask > threshold
    ratio = (depth / true.depth)[counted]
    limit = metric.tolerance * (1 + _NOISE)
    return bool(((ratio < limit) & (ratio > 1 / limit)).all())
