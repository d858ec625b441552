"""A package imports only from those before it in the flow, and the tree stays easy to read."""

import ast
from collections.abc import Iterator
from pathlib import Path

from depthmask.data.sources import NAMES

PACKAGE = Path(__file__).parents[1] / "src/depthmask"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]

# Inference stands before export, which proves its file with the Predictor; tracking before the
# page, which says what the gate said.
FLOW = """errors config data data/scenes data/composition data/sources models metrics training
    evaluation tracking visualization data/materialise inference export stages cli""".split()
ENTRY_POINTS = ("stages", "cli")  # they import from all, the paths in `stages` among it
WITHOUT_TORCH = ("errors", "config", "data/scenes", "inference")
HEAVY = ("torch", "torchmetrics", "lightning")


def package_of(parts: tuple[str, ...]) -> str:
    """("data", "scenes", "files") -> data/scenes, ("data", "work") -> data."""
    nested = parts[0] == "data" and PACKAGE.joinpath(*parts[:2]).is_dir()
    return "/".join(parts[: 2 if nested else 1])


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its top or within a function, and the names of them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_a_package_imports_only_from_those_before_it_and_inference_no_torch():
    wrong = []
    for path in MODULES:
        module = path.relative_to(PACKAGE)
        package = package_of(module.with_suffix("").parts)
        before = FLOW[: FLOW.index(package) + 1]
        for name in imports(path):
            top, *parts = name.split(".")
            if top == "depthmask" and parts and parts != ["__version__"]:
                is_wrong = package not in ENTRY_POINTS and package_of(tuple(parts)) not in before
            else:
                is_wrong = package in WITHOUT_TORCH and top in HEAVY
            if is_wrong:
                wrong.append(f"{module} imports {name}")
    assert wrong == []


def test_no_source_is_named_outside_the_sources():
    words = {f"sources.{name}" for name in NAMES}.union(*({f"'{n}'", f'"{n}"'} for n in NAMES))
    outside = [path for path in MODULES if not {"sources", "config"} & set(path.parts)]
    found = {(path.name, word) for path in outside for word in words if word in path.read_text()}
    found -= {("training.py", "sources.photos"), ("training.py", '"photos"')}  # `init photos`
    assert found == {("predicting.py", "sources.photos")}, "the teacher of `plate`"


def test_the_root_is_short_and_no_file_is_long():
    roots = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert len(roots - {"__pycache__"}) <= 14
    long = [path for path in MODULES if len(path.read_text("utf-8").splitlines()) > 300]
    assert long == []
