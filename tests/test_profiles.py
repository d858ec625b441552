"""Choosing a profile edits two values of params.yaml and nothing else."""

import shutil
from pathlib import Path

import pytest

from depthmask.cli.profiles import choose_profile, profile_names
from depthmask.config import read_params
from depthmask.config.yaml12 import read_yaml
from depthmask.errors import InputError

SHIPPED = Path(__file__).parents[1] / "params.yaml"
NAMES = list(read_yaml(SHIPPED)["profiles"])


@pytest.fixture
def path(tmp_path):
    return Path(shutil.copy(SHIPPED, tmp_path / "params.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_changes_two_values_and_the_way_back_restores_every_byte(path, name):
    chosen = choose_profile(path, name)
    assert chosen == (name, tuple(read_yaml(path)["profiles"][name]["compare"]))
    params = read_params(path)
    assert (params.profile, params.compare) == chosen
    before, after = SHIPPED.read_text().splitlines(), path.read_text().splitlines()
    changed = {new.split(":")[0] for old, new in zip(before, after, strict=True) if old != new}
    assert changed <= {"profile", "compare"}
    choose_profile(path, "laptop")
    assert path.read_bytes() == SHIPPED.read_bytes()


def test_a_compare_in_block_style_is_replaced_too(path):
    text = path.read_text()
    start = text.index("compare: [")
    end = text.index("\n", start)
    path.write_text(text[:start] + "compare:\n  - bce_rmse\n  - masknet3_bce" + text[end:])
    choose_profile(path, "tiny")
    assert read_params(path).compare == ("bce_rmse", "masknet3_bce")
    choose_profile(path, "laptop")
    assert path.read_text() == text


def test_comments_and_line_ends_stay(path):
    text = path.read_text()
    start = text.index("compare: [")
    end = text.index("\n", start)
    block = "compare: # mine\n  - bce_rmse # x\n  - masknet3_bce\n# what follows"
    path.write_bytes((text[:start] + block + text[end:]).replace("\n", "\r\n").encode())
    before = path.read_bytes()
    choose_profile(path, "tiny")
    after = path.read_bytes()
    assert b"# what follows\r\n" in after and after.count(b"\r\n") == after.count(b"\n")
    assert after.count(b"\n") == before.count(b"\n") - 2
    assert read_params(path).compare == ("bce_rmse", "masknet3_bce")


@pytest.mark.parametrize("profiles", ["[1]", "{tiny: hello}", "{7: {}}", "nothing"])
def test_profiles_that_are_none_are_refused(path, profiles):
    text = path.read_text()
    path.write_text(text[: text.index("profiles:")] + f"profiles: {profiles}\n")
    with pytest.raises(InputError, match="no `profiles` of names and sections"):
        profile_names(path)


def test_a_link_stays_one(path, tmp_path):
    link = tmp_path / "elsewhere" / "params.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    choose_profile(link, "tiny")
    assert link.is_symlink() and read_params(path).profile == "tiny"


def test_what_cannot_be_chosen_leaves_the_file_alone(path):
    with pytest.raises(InputError, match=r"no profile 'moon'; it has laptop, tiny, gpu, seed"):
        choose_profile(path, "moon")
    broken = path.read_text().replace("batch_size: 4,", "batch_size: 1,")
    path.write_text(broken)
    with pytest.raises(InputError, match=r"params\.yaml \(profile tiny\): train\.batch_size"):
        choose_profile(path, "tiny")
    assert path.read_text() == broken and list(path.parent.iterdir()) == [path]
    assert profile_names(path) == ("laptop", NAMES)


def test_the_seed_profile_is_the_original_number_by_number(path):
    choose_profile(path, "seed")
    params = read_params(path)
    train, plates = params.train, params.prepare.splits.plates
    assert (train.optimizer.name, train.optimizer.lr, train.optimizer.momentum) == ("sgd", 0.1, 0.9)
    assert train.optimizer.weight_decay == 1e-8
    assert (train.scheduler.name, train.scheduler.factor, train.scheduler.patience) == (
        "plateau", 0.1, 2,
    )  # fmt: skip
    assert [step.size for step in train.schedule] == [64, 128, 224]
    assert sum(step.epochs for step in train.schedule) == 12
    assert plates.train + plates.val + plates.test == 100
    assert params.prepare.splits.cutouts == plates
    assert train.scenes_per_epoch == round(0.7 * 100 * 100 * 40)
    assert -(-train.scenes_per_epoch // train.batch_size) == 2188  # the original's steps an epoch
    experiments = [params.experiments[name] for name in params.compare]
    two_heads = [e for e in experiments if e.model == "depthmasknet8"]
    assert len(two_heads) == 7 and len(experiments) == 11
    assert all(params.experiments[f"{name}_plain"] == params.experiments[name].model_copy(
        update={"augmented": False}) for name in params.compare)  # fmt: skip
