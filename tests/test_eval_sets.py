"""The prepared sets: what robustness takes beside the scenes themselves."""

import json
import shutil

import numpy as np
import pytest
import torch

from depthmask.data.sources import open_sets
from synthetic import SIZE, TINY


@pytest.fixture(scope="module")
def sets(synthetic_data):
    return open_sets(synthetic_data / "prepared", TINY.compositor, TINY.placement, "cpu")


def test_rendered_empty_frames_stand_beside_their_plates(sets):
    batches = list(sets.scenes("nobody"))
    scene = batches[0]
    assert sum(len(batch.mask) for batch in batches) == TINY.prepare.num_scenes.nobody
    assert sets.origins("nobody")["plate"].tolist()[0] == "room-00006"
    assert scene.bg.shape == scene.bg_fg.shape == (2, 3, SIZE, SIZE)
    plate = torch.from_numpy(np.array(sets.library.images[6])).permute(2, 0, 1) / 255
    assert torch.equal(scene.bg[0], plate)
    assert 0 < (scene.bg_fg - scene.bg).abs().mean() < 0.03 and scene.mask.max() == 0
    assert torch.equal(scene.depth[0, 0], torch.from_numpy(np.array(sets.library.depths[6])))


def test_a_source_without_them_composes_empty_frames(synthetic_data, tmp_path):
    prepared = shutil.copytree(synthetic_data / "prepared", tmp_path / "prepared")
    summary = json.loads((prepared / "summary.json").read_text())
    for name in ("nobody", "in_scene"):
        del summary["num_scenes"][name]
    (prepared / "summary.json").write_text(json.dumps(summary))
    composed = open_sets(prepared, TINY.compositor, TINY.placement, "cpu")
    assert composed.headline == "unseen_unseen"
    empty = list(composed.scenes("nobody"))
    assert sum(len(scene.mask) for scene in empty) == TINY.prepare.num_scenes.unseen_unseen
    assert all(scene.mask.max() == 0 for scene in empty)


@pytest.mark.parametrize("name", ["in_scene", "unseen_unseen"])
def test_pairs_are_other_people_in_the_same_room_and_shot(sets, name):
    frames = torch.cat([scene.bg_fg for scene in sets.scenes(name)])
    pairs = list(sets.pairs(name))
    assert sum(len(first.mask) for first, *_ in pairs) >= 2
    for first, second, rows in pairs:
        assert torch.equal(first.bg, second.bg) and torch.equal(first.bg_fg, frames[rows.copy()])
        for one, other in zip(first.bg_fg, second.bg_fg, strict=True):
            assert not torch.equal(one, other)
            assert any(torch.equal(one, frame) for frame in frames)
