"""Which pictures train, validate and test: near-duplicates stay together."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from depthmask.data.scenes.scene import SPLITS
from depthmask.errors import InputError


def assign_splits(
    names: Sequence[str], groups: np.ndarray, weights: Mapping[str, float], *, seed: int, kind: str
) -> list[str]:
    """Divide pictures among the splits, whole groups at a time.

    The order is that of a hash of seed and name, so that another picture moves few of the others.

    Args:
        names: of the pictures.
        groups: int [N], equal numbers for pictures that must stay together.
        weights: the splits' shares, in any proportion (200, 20, 20 or 0.8, 0.1, 0.1).
        seed: of the order.
        kind: what the pictures are, for the message.

    Returns:
        A split for each picture; every split has one at least.

    Raises:
        InputError: there are fewer groups than splits.
    """
    members: dict[int, list[int]] = {}
    for index, number in enumerate(np.asarray(groups).tolist()):
        members.setdefault(number, []).append(index)
    if len(members) < len(SPLITS):
        raise InputError(
            f"{len(names)} {kind} make {len(members)} groups that differ, and train, val and test"
            f" need one each: add {kind}"
        )

    def order(group: list[int]) -> tuple[int, bytes]:
        digest = hashlib.sha256(f"{seed}/{kind}/{names[group[0]]}".encode()).digest()
        return -len(group), digest

    total = sum(weights[split] for split in SPLITS)
    wanted = {s: max(1, round(len(names) * weights[s] / total)) for s in SPLITS[1:]}
    wanted[SPLITS[0]] = len(names) - sum(wanted.values())
    chosen = [""] * len(names)
    empty, left = list(SPLITS), len(members)
    for group in sorted(members.values(), key=order):
        # the last groups go to those that have none
        among = empty if left <= len(empty) else SPLITS
        split = max(among, key=lambda name: wanted[name])
        wanted[split] -= len(group)
        left -= 1
        if split in empty:
            empty.remove(split)
        for index in group:
            chosen[index] = split
    return chosen
