"""What a network owes to rooms and people that it has seen: the leak that a random split hides."""

from collections.abc import Sequence

import pandas as pd

from depthmask.evaluation.intervals import Interval, gap_interval
from depthmask.metrics import METRICS
from depthmask.params import Bootstrap

SEEN, UNSEEN = "seen_seen", "unseen_unseen"


def leak_gaps(
    figures: dict[str, pd.DataFrame], metrics: Sequence[str], params: Bootstrap
) -> dict[str, Interval]:
    """How much better an experiment is on seen rooms and people than on unseen ones.

    Both sets are composed alike, so that nothing else differs. A random split over composites
    reports the first figure as if it were the second.

    Args:
        figures: a table a set, a row a scene, a column a metric.
        metrics: the columns to compare.
        params: of the bootstrap; the sets are drawn apart, as they share no scene.

    Returns:
        By metric, positive where the seen pair is better, whichever direction is better.
    """
    gaps = {}
    for name in metrics:
        gap = gap_interval(figures[SEEN][name], figures[UNSEEN][name], params)
        if METRICS[name].better == "lower":
            gap = Interval(-gap.value, -gap.high, -gap.low)
        gaps[name] = gap
    return gaps
