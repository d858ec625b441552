"""What an installation brings is pinned, and the Makefile installs the right thing once."""

import ast
import configparser
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    return normal(re.match(r"[\w.-]+", requirement)[0])


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "no paths, no local tags"
    return {normal(name): pin for name, pin in (line.split("==") for line in lines)}


DEPENDENCIES = {requirement_name(line) for line in PROJECT["project"]["dependencies"]}
EXTRAS = {
    extra: {requirement_name(line) for line in lines}
    for extra, lines in PROJECT["project"]["optional-dependencies"].items()
}


def test_every_direct_dependency_is_pinned() -> None:
    build = {requirement_name(line) for line in PROJECT["build-system"]["requires"]}
    assert DEPENDENCIES.union(build, *EXTRAS.values()) <= set(pins())
    assert pins()["torch"] == "2.13.0"


def test_environment_is_what_is_pinned() -> None:
    different = {}
    for name, pin in pins().items():
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
        if installed != pin:
            different[name] = (installed, pin)
    assert different == {}


def test_the_two_runtimes_are_extras_apart() -> None:
    assert EXTRAS["cpu"] == {"onnxruntime"}
    assert EXTRAS["gpu"] == {"onnxruntime-gpu"}
    assert not DEPENDENCIES & {"onnxruntime", "onnxruntime-gpu"}


def test_every_import_is_declared() -> None:
    imported = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    imported -= sys.stdlib_module_names | {"depthmask"}
    distributions = packages_distributions()
    declared = DEPENDENCIES | EXTRAS["cpu"] | EXTRAS["gpu"]
    undeclared = {
        module
        for module in imported
        if not declared & {normal(name) for name in distributions.get(module, [module])}
    }
    assert undeclared == set()


def test_files_that_are_no_code_are_shipped_with_it() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    patterns = {
        (ROOT / "src").joinpath(*package.split(".")): globs for package, globs in data.items()
    }
    files = [path for path in (ROOT / "src/depthmask").rglob("*.*") if path.is_file()]
    others = [path for path in files if path.suffix not in (".py", ".pyc")]
    assert {path.suffix for path in others} >= {".jinja", ".css", ".js"}
    shipped = [p for p in others if any(p.match(glob) for glob in patterns.get(p.parent, ()))]
    assert shipped == others


def test_no_file_names_a_package_registry() -> None:
    hosts = [".".join(parts) for parts in (
        ("pypi", "org"), ("files", "pythonhosted"), ("download", "pytorch"), ("npmjs", "org"),
        ("npmjs", "com"), ("conda", "anaconda"), ("proxy", "golang"),
    )]  # fmt: skip
    folders = (".ci", ".dvc", ".github", "scripts", "src", "tests")
    paths = [path for path in ROOT.iterdir() if path.is_file() and path.suffix != ".db"]
    for folder in folders:
        paths += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    skipped = {"cache", "tmp", "__pycache__"}
    paths = [path for path in paths if not skipped & set(path.relative_to(ROOT).parts)]
    assert ROOT / "Makefile" in paths
    naming = [
        f"{path}: {host}"
        for path in paths
        for host in hosts
        if host in path.read_text(encoding="utf-8", errors="ignore").lower()
    ]
    assert naming == []


def test_dvc_sends_nothing_home_and_ignores_what_no_stage_reads() -> None:
    config = configparser.ConfigParser()
    config.read_string(re.sub(r"^\s+", "", (ROOT / ".dvc/config").read_text(), flags=re.MULTILINE))
    assert config["core"]["analytics"] == config["core"]["check_update"] == "false"
    ignored = (ROOT / ".dvcignore").read_text().splitlines()
    assert {".venv", ".tracking", ".checkpoints", "mlartifacts"} <= set(ignored)


FAKE_PYTHON = """#!/bin/sh
# Stands for an interpreter and, copied, for the one in the environment it makes.
echo "$*" >>"$FAKE_LOG"
case "$*" in
    *"sys.version_info"*) exit "${FAKE_TOO_OLD:-0}" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"pip install"*) exit "${FAKE_PIP:-0}" ;;
esac
"""


class Machine:
    """A copy of the project's installation, on a PATH whose uname, python and driver are ours."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a project"
        self.root.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "log"
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            (self.root / name).write_bytes((ROOT / name).read_bytes())
        self.put("python3", FAKE_PYTHON)
        self.put("uname", '#!/bin/sh\n[ "$1" = -s ] && echo Linux || echo x86_64\n')
        self.put("nvidia-smi", "#!/bin/sh\nexit 9\n")

    def put(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def make(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(
            ["make", *arguments],
            cwd=self.root,
            env=inherited | {"PATH": path, "FAKE_LOG": str(self.log)} | env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    @property
    def stamps(self) -> list[str]:
        return sorted(path.name for path in (self.root / ".venv").glob(".install*"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


DRIVER = Path("/proc/driver/nvidia/version").exists()


@pytest.mark.parametrize(
    ("driver", "system", "runtime"),
    [
        (True, "Linux x86_64", "gpu"),
        (False, "Linux x86_64", "gpu" if DRIVER else "cpu"),
        (True, "Linux aarch64", "cpu"),
        (True, "Darwin arm64", "cpu"),
    ],
)
def test_runtime_follows_the_driver(
    machine: Machine, driver: bool, system: str, runtime: str
) -> None:
    machine.put("nvidia-smi", f"#!/bin/sh\nexit {0 if driver else 9}\n")
    kernel, cpu = system.split()
    machine.put("uname", f'#!/bin/sh\n[ "$1" = -s ] && echo {kernel} || echo {cpu}\n')
    result = machine.make("environment")
    assert result.returncode == 0, result.stderr
    assert f"--constraint constraints.txt --editable .[{runtime},test]" in machine.log.read_text()
    assert machine.stamps == [f".installed-{runtime}"]


def test_installs_again_only_when_something_changed(machine: Machine) -> None:
    assert machine.make("environment", "RUNTIME=cpu").returncode == 0
    machine.make("environment", "RUNTIME=cpu")
    assert "pip install" not in machine.log.read_text()
    stamp = machine.root / ".venv/.installed-cpu"
    os.utime(stamp, (0, 0))
    machine.make("environment", "RUNTIME=cpu")
    assert "pip install" in machine.log.read_text()
    assert "-m venv" not in machine.log.read_text()


def test_changing_the_runtime_removes_the_other(machine: Machine) -> None:
    machine.make("environment", "RUNTIME=cpu")
    assert "uninstall" not in machine.log.read_text()
    machine.make("environment", "RUNTIME=gpu")
    log = machine.log.read_text()
    removal = "uninstall --quiet --yes onnxruntime onnxruntime-gpu"
    assert log.index(removal) < log.index("[gpu,test]")
    assert machine.stamps == [".installed-gpu"]


def test_an_unfinished_installation_is_made_anew(machine: Machine) -> None:
    assert machine.make("environment", "RUNTIME=cpu", FAKE_PIP="1").returncode != 0
    assert machine.stamps == [".installing"]
    half = machine.root / ".venv/half"
    half.touch()
    assert machine.make("environment", "RUNTIME=cpu").returncode == 0
    assert machine.stamps == [".installed-cpu"]
    assert not half.exists()


def test_an_old_python_is_named_and_nothing_is_written(machine: Machine) -> None:
    result = machine.make("environment", "PYTHON=python3", FAKE_TOO_OLD="1")
    assert result.returncode == 2
    assert "depthmask needs Python 3.11 to 3.14" in result.stderr
    assert not (machine.root / ".venv").exists()


def test_pytest_closes_make_test(machine: Machine) -> None:
    lines = machine.make("-n", "test", "RUNTIME=cpu").stdout.strip().splitlines()
    assert "-m pytest" in lines[-1] and any("ruff check" in line for line in lines)
    assert "make repro" in machine.make().stdout
