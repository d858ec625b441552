"""A package imports only from those before it in the flow, and the tree stays easy to read."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src/depthmask"

# Inference stands before export, which proves its file with the Predictor; tracking before the
# page, which says what the gate said.
FLOW = (
    "errors",
    "config",
    "data",
    "data/scenes",
    "data/composition",
    "data/sources",
    "models",
    "metrics",
    "training",
    "evaluation",
    "tracking",
    "visualization",
    "data/materialise",
    "inference",
    "export",
    "stages",
    "cli",
)
ENTRY_POINTS = ("stages", "cli")  # they import from all, the paths in `stages` among it
WITHOUT_TORCH = ("errors", "config", "data/scenes", "inference")


def package_of(module: str) -> str:
    """depthmask.data.scenes.files -> data/scenes, depthmask.data.work -> data."""
    parts = module.split(".")[1:]
    nested = parts[0] == "data" and PACKAGE.joinpath(*parts[:2]).is_dir()
    return "/".join(parts[: 2 if nested else 1])


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its top or within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            within = node.module in ("depthmask", "depthmask.data")
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from names if within else (node.module,)


def modules() -> Iterator[tuple[Path, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path != PACKAGE / "__init__.py":
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            yield path, package_of(".".join(parts))


def test_every_package_is_in_the_flow():
    assert {package for _, package in modules()} <= set(FLOW)


def test_a_package_imports_only_from_those_before_it():
    upside_down = [
        f"{path.relative_to(PACKAGE)} imports {imported}"
        for path, package in modules()
        if package not in ENTRY_POINTS
        for imported in imports(path)
        if imported.startswith("depthmask.")
        and not imported.startswith("depthmask.__")
        and FLOW.index(package_of(imported)) > FLOW.index(package)
    ]
    assert upside_down == []


def test_inference_and_what_it_reads_with_need_no_torch():
    heavy = [
        f"{path.relative_to(PACKAGE)} imports {imported}"
        for path, package in modules()
        if package in WITHOUT_TORCH
        for imported in imports(path)
        if imported.partition(".")[0] in ("torch", "torchmetrics", "lightning")
    ]
    assert heavy == []


def test_the_root_is_short_and_no_file_is_long():
    roots = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert len(roots - {"__pycache__"}) <= 14
    long = {
        path.relative_to(PACKAGE).as_posix(): num_lines
        for path, _ in modules()
        if (num_lines := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert long.keys() <= {"config.py"}
