"""A run's key follows the code that training depends on."""

import depthmask
from depthmask.tracking.provenance import code_hash


def test_a_nested_module_and_its_place_change_the_hash(tmp_path, monkeypatch):
    package = tmp_path / "package"
    nested = package / "models/heads"
    nested.mkdir(parents=True)
    (nested / "mask.py").write_text("a = 1\n")
    monkeypatch.setattr(depthmask, "__file__", str(package / "__init__.py"))
    before = code_hash(["models"])
    assert code_hash(["models"]) == before
    (nested / "mask.py").write_text("a = 2\n")
    edited = code_hash(["models"])
    (nested / "mask.py").rename(package / "models/mask.py")
    assert len({before, edited, code_hash(["models"])}) == 3
