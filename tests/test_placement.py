import numpy as np
import pytest

from depthmask.data.scenes.placement import (
    Placer,
    next_alike,
    shot_uniforms,
    uniforms,
    visible_shares,
)
from depthmask.errors import InputError
from synthetic import make_library


@pytest.fixture(scope="module")
def library():
    return make_library()


def make_placer(library, **changes):
    settings = {
        "plates": library.plates_of("train"),
        "cutouts": library.cutouts_of("train"),
        "seed": 3,
        "occluded": 0.6,
        "mirrored": 0.5,
        "nobody": 0.1,
        "num_variants": 2,
    }
    return Placer(visible_shares(library), **settings | changes)


def test_a_sample_depends_on_its_number_alone(library):
    placer = make_placer(library)
    whole = placer.draw(0, 5, range(12))
    parts = [placer.draw(0, 5, range(start, start + 3)) for start in (0, 3, 6, 9)]
    for name, column in whole._asdict().items():
        np.testing.assert_array_equal(column, np.concatenate([getattr(p, name) for p in parts]))


def test_epoch_stream_index_and_seed_all_matter():
    base = uniforms(1, 2, 3, [4], 8)
    for other in ((0, 2, 3, [4]), (1, 0, 3, [4]), (1, 2, 0, [4]), (1, 2, 3, [0])):
        assert not np.isclose(base, uniforms(*other, 8)).any()


def test_draws_are_uniform():
    numbers = uniforms(0, 0, 0, range(4000), 5)
    assert numbers.min() >= 0 and numbers.max() < 1
    np.testing.assert_allclose(numbers.mean(0), 0.5, atol=0.03)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(5), atol=0.06)


def test_shot_uniforms_are_the_recipe_s_own(library):
    recipes = make_placer(library).draw(2, 0, [7, 8])
    np.testing.assert_array_equal(recipes.uniforms, shot_uniforms(3, 2, 0, [7, 8]))


def test_only_the_given_sources_are_drawn(library):
    recipes = make_placer(library).draw(0, 0, range(300))
    assert set(recipes.plate) == set(library.plates_of("train"))
    assert set(recipes.cutout) == set(library.cutouts_of("train"))
    assert set(recipes.plate_variant) == {0, 1, 2}
    assert recipes.mirrored.mean() == pytest.approx(0.5, abs=0.1)
    assert recipes.nobody.mean() == pytest.approx(0.1, abs=0.06)


def test_everybody_is_seen_in_an_empty_room(library):
    assert visible_shares(library).min() > 0.85


def test_a_screen_before_the_stand_hides_the_person(library):
    hidden = make_library()
    hidden.depths[0, :, : hidden.size // 2] = 1.0  # the left half of the room
    shares = visible_shares(hidden)[0]
    foot = hidden.camera(0).project(np.asarray(hidden.stands[0], float), hidden.size)[:, 0]
    half = 0.25 * hidden.camera(0).focal * hidden.size / hidden.stands[0][:, 2]
    assert (shares[foot + half < hidden.size / 2 - 1] == 0).all()
    assert (shares[foot - half > hidden.size / 2 + 1] > 0.85).all()


def test_a_plate_where_nobody_can_be_seen_is_named(library):
    with pytest.raises(InputError, match=r"placement\.occluded"):
        Placer(np.zeros((8, 8)), plates=[2], cutouts=[0], seed=0, occluded=0.5, mirrored=0.5)


def test_rows_are_paired_with_the_next_of_their_key():
    rows, partners = next_alike(np.array(["b", "a", "b", "c", "b"]))
    assert rows.tolist() == [0, 2, 4] and partners.tolist() == [2, 4, 0]
    rows, partners = next_alike(np.arange(3))
    assert len(rows) == len(partners) == 0
