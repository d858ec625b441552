"""A run's key follows the code that training depends on."""

import subprocess

import depthmask
from depthmask.tracking.provenance import code_hash, git_commit, run_key


def test_a_nested_module_and_its_place_change_the_hash(tmp_path, monkeypatch):
    nested = tmp_path / "models/heads"
    nested.mkdir(parents=True)
    monkeypatch.setattr(depthmask, "__file__", str(tmp_path / "__init__.py"))
    hashes = []
    for content in ("a = 1\n", "a = 2\n"):
        (nested / "mask.py").write_text(content)
        hashes += [code_hash(["models"]), code_hash(["models"])]
    (nested / "mask.py").rename(tmp_path / "models/mask.py")
    hashes.append(code_hash(["models"]))
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3


def test_a_key_is_of_its_parts_whatever_their_order():
    assert run_key(a=1, b={"c": 2}) == run_key(b={"c": 2}, a=1) != run_key(a=1, b={"c": 3})


def test_a_commit_is_dirty_where_code_changed_and_unknown_outside_git(tmp_path):
    assert git_commit(tmp_path) == "unknown"

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    (tmp_path / "src").mkdir()
    for name in ("src/code.py", "dvc.lock"):
        (tmp_path / name).write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    clean = git_commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "dvc.lock").write_text("2")
    assert git_commit(tmp_path) == clean
    (tmp_path / "src/code.py").write_text("2")
    assert git_commit(tmp_path) == f"{clean}-dirty"
