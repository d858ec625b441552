"""How a network fares on rooms and people that it has seen, beside others: the leak.

The two sets have other rooms and other people, which may be easier or harder: a method that cannot
remember anything, such as the difference threshold, shows how much of a gap is that.
"""

from collections.abc import Sequence

import pandas as pd

from depthmask.config import Bootstrap
from depthmask.evaluation.intervals import Interval, Resamples, gap_interval
from depthmask.metrics import METRICS

SEEN, UNSEEN = "seen_seen", "unseen_unseen"


def leak_gaps(
    figures: dict[str, pd.DataFrame], metrics: Sequence[str], params: Bootstrap
) -> dict[str, Interval]:
    """How much better a method is on seen rooms and people than on unseen ones.

    Both sets are composed alike. A random split over composites reports the first figure as if it
    were the second.

    Args:
        figures: a table a set, a row a scene, a column a metric.
        metrics: the columns to compare.
        params: of the bootstrap; the sets are drawn apart, as they share no room and nobody.

    Returns:
        By metric, positive where the seen pair is better, whichever direction is better.
    """
    seen, unseen = figures[SEEN], figures[UNSEEN]
    draws = Resamples(seen, params, stream=1), Resamples(unseen, params, stream=2)
    gaps = {}
    for name in metrics:
        gap = gap_interval(seen[name].to_numpy(), draws[0], unseen[name].to_numpy(), draws[1])
        if METRICS[name].better == "lower":
            gap = Interval(-gap.value, -gap.high, -gap.low)
        gaps[name] = gap
    return gaps
