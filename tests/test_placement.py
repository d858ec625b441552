"""Sources as files, who is placed where, and the sets that are measured."""

import json
import shutil

import numpy as np
import pytest
import torch

from depthmask.data.materialise import plain_shots
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import Placer, uniforms, visible_shares
from depthmask.data.sources import read_source
from depthmask.errors import InputError
from synthetic import (
    COMPOSITION,
    SIZE,
    TINY,
    make_empty_frames,
    make_frames,
    make_library,
    make_placer,
)


@pytest.fixture(scope="module")
def library():
    return make_library()


@pytest.fixture(scope="module")
def placer(library):
    return make_placer(library, nobody=0.1, num_variants=2)


def test_a_sample_depends_on_its_number_alone(placer):
    whole = placer.draw(0, 5, range(12))
    parts = [placer.draw(0, 5, range(start, start + 3)) for start in (0, 3, 6, 9)]
    for name, column in whole._asdict().items():
        np.testing.assert_array_equal(column, np.concatenate([getattr(p, name) for p in parts]))


def test_numbers_are_uniform_and_seed_stream_epoch_and_index_all_matter():
    base = uniforms(1, 2, 3, [4], 8)
    for other in ((0, 2, 3, [4]), (1, 0, 3, [4]), (1, 2, 0, [4]), (1, 2, 3, [0])):
        assert not np.isclose(base, uniforms(*other, 8)).any()
    numbers = uniforms(0, 0, 0, range(4000), 5)
    assert numbers.min() >= 0 and numbers.max() < 1
    np.testing.assert_allclose(numbers.mean(0), 0.5, atol=0.03)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(5), atol=0.06)


def test_only_the_named_splits_are_drawn(library, placer):
    recipes = placer.draw(0, 0, range(300))
    assert set(recipes.plate) == set(library.plates_of("train"))
    assert set(recipes.cutout) == set(library.cutouts_of("train"))
    assert set(recipes.plate_variant) == {0, 1, 2}
    assert recipes.mirrored.mean() == pytest.approx(0.5, abs=0.1)
    assert recipes.nobody.mean() == pytest.approx(0.1, abs=0.06)


def test_a_share_is_rendered_and_nobody_is_pasted_into_it(library):
    table = make_frames(library, 5, "train").table
    placer = make_placer(
        library, nobody=0.1, others=1.0, rendered=0.4, num_variants=2, frames=table
    )
    recipes = placer.draw(0, 0, range(300))
    rows = np.flatnonzero(recipes.frame >= 0)
    assert len(rows) / 300 == pytest.approx(0.4, abs=0.08)
    assert set(recipes.frame[rows]) == set(range(5))
    for name in ("plate", "cutout", "stand"):
        np.testing.assert_array_equal(
            getattr(recipes, name)[rows], table[name][recipes.frame[rows]]
        )
    assert recipes.nobody[rows].all() and (recipes.plate_variant[rows] == 0).all()
    assert np.delete(recipes.nobody, rows).mean() == pytest.approx(0.1 / 0.6, abs=0.08)
    assert placer.draw_others(recipes, 0, range(300)).nobody[rows].all()
    plain = make_placer(library, nobody=0.1, num_variants=2).draw(0, 0, range(300))
    np.testing.assert_array_equal(np.delete(plain.cutout, rows), np.delete(recipes.cutout, rows))


def test_a_screen_before_the_stand_hides_the_person_and_where_nobody_is_seen_is_named(library):
    assert visible_shares(library).min() > 0.85
    hidden = make_library()
    hidden.depths[0, :, : hidden.size // 2] = 1.0  # the left half of the room
    shares, camera = visible_shares(hidden)[0], hidden.camera(0)
    foot = camera.project(np.asarray(hidden.stands[0], float), hidden.size)[:, 0]
    half = 0.25 * camera.focal * hidden.size / hidden.stands[0][:, 2]
    assert (shares[foot + half < hidden.size / 2 - 1] == 0).all()
    assert (shares[foot - half > hidden.size / 2 + 1] > 0.85).all()
    with pytest.raises(InputError, match=r"plate 0 .* placement\.occluded"):
        Placer(library, np.zeros((8, 8)), TINY.placement)


def test_what_is_written_comes_back_and_files_that_do_not_fit_are_named(library, tmp_path):
    library.write(tmp_path)
    read = Library.read(tmp_path)
    for name in ("images", "depths", "stands", "rgba", "relief"):
        np.testing.assert_array_equal(getattr(library, name), getattr(read, name))
    assert library.plates.equals(read.plates) and library.cutouts.equals(read.cutouts)
    assert read.camera(3).up == (0.0, -1.0, 0.0)
    assert read.plates_of("test").tolist() == [6, 7]
    make_empty_frames(library, 3).write(tmp_path, "nobody")
    frames = Frames.read(tmp_path, "nobody")
    np.testing.assert_array_equal(frames.bg_fg, make_empty_frames(library, 3).bg_fg)
    np.testing.assert_array_equal(frames.depth, library.depths[[6, 7, 6]])
    assert frames.table.plate.tolist() == [6, 7, 6] and frames.mask.max() == 0
    with pytest.raises(InputError, match=r"plates\.parquet.*dvc repro"):
        Library.read(tmp_path / "empty")
    np.save(tmp_path / "nobody_bg_fg.npy", np.zeros((2, 64, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"nobody_bg_fg\.npy is damaged"):
        Frames.read(tmp_path, "nobody")
    np.save(tmp_path / "cutouts_relief.npy", np.zeros((8, 3, 3), np.float32))
    with pytest.raises(InputError, match=r"cutouts_relief\.npy is damaged"):
        Library.read(tmp_path)


@pytest.fixture(scope="module")
def sets(synthetic_data):
    prepared = synthetic_data / "prepared"
    return read_source(prepared).open_sets(prepared, COMPOSITION, "cpu")


def test_training_sees_what_was_rendered_for_it(synthetic_data):
    prepared, still = synthetic_data / "prepared", plain_shots(TINY.compositor)
    shares = {"rendered": 1.0, "nobody": 0.0, "others": 0.0}
    train = TINY.train.model_copy(update=shares)
    composition = COMPOSITION._replace(compositor=still)
    scenes = read_source(prepared).training_scenes(prepared, None, train, composition)
    cpu = torch.device("cpu")
    seen = scenes.scene(next(iter(scenes.loader("train", 8, 8, [SIZE], 0, cpu))), cpu)
    stored = Frames.read(prepared, "rendered").mask
    for mask in seen.mask[:, 0]:
        apart = [
            float((mask - torch.from_numpy(np.array(each)) / 255).abs().max()) for each in stored
        ]
        assert min(apart) < 1e-3


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
    composed = read_source(prepared).open_sets(prepared, COMPOSITION, "cpu")
    assert composed.headline == "unseen_unseen"
    empty = list(composed.scenes("nobody"))
    assert sum(len(scene.mask) for scene in empty) == TINY.prepare.num_scenes.unseen_unseen
    assert all(scene.mask.max() == 0 for scene in empty)
