import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.main import get_command

from depthmask.cli import app
from test_layers import imports

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def names(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in requirements}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


DEPENDENCIES = names(PROJECT["project"]["dependencies"])
EXTRAS = {extra: names(x) for extra, x in PROJECT["project"]["optional-dependencies"].items()}
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = {normal(name): pin for name, pin in re.findall(r"(?m)^([^#=\n]+)==(.+)$", CONSTRAINTS)}


def test_every_direct_dependency_is_pinned_and_installed_as_pinned():
    assert re.fullmatch(r"(#.*\n|[\w.-]+==[\w.]+\n)*", CONSTRAINTS), "no paths, no local tags"
    build = names(PROJECT["build-system"]["requires"])
    assert DEPENDENCIES.union(build, *EXTRAS.values()) <= PINS.keys()
    for name, pin in PINS.items():
        try:
            assert version(name).partition("+")[0] == pin, name
        except PackageNotFoundError:
            continue
    assert "onnxruntime-gpu" in PINS and "onnxruntime" in DEPENDENCIES
    both = DEPENDENCIES.union(*EXTRAS.values()) >= {"onnxruntime", "onnxruntime-gpu"}
    assert not both, "they overwrite each other"


def test_every_import_is_declared():
    files = (ROOT / "src").rglob("*.py")
    imported = {name.partition(".")[0] for path in files for name in imports(path)}
    imported -= sys.stdlib_module_names | {"depthmask"}
    distributions = packages_distributions()
    extras = [EXTRAS[name] for name in EXTRAS if name != "test"]
    declared = DEPENDENCIES.union(*extras)
    for module in imported:
        assert declared & {normal(name) for name in distributions.get(module, [module])}, module


def test_files_that_are_no_code_are_shipped_with_it():
    shipped = {
        path
        for package, globs in PROJECT["tool"]["setuptools"]["package-data"].items()
        for glob in globs
        for path in (ROOT / "src").joinpath(*package.split(".")).glob(glob)
    }
    files = {path for path in (ROOT / "src/depthmask").rglob("*.*") if path.is_file()}
    assert shipped == {path for path in files if path.suffix not in (".py", ".pyc")}
    assert ROOT / "src/depthmask/py.typed" in shipped


def test_no_file_names_a_package_registry():
    hosts = "pypi[.]org files[.]python[h]osted download[.]pytorch npmjs[.](org|com)"
    hosts += " conda[.]anaconda proxy[.]golang"
    command = ["git", "grep", "-EIil", "|".join(hosts.split())]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (1, ""), "1 is git's for no match"


def test_dvc_and_hooks_ask_no_host():
    config = configparser.ConfigParser()
    config.read_string(re.sub(r"^\s+", "", (ROOT / ".dvc/config").read_text(), flags=re.MULTILINE))
    assert config["core"]["analytics"] == config["core"]["check_update"] == "false"
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"


# Stands for an interpreter and, copied, for the one in the environment it makes.
FAKE_PYTHON = """#!/bin/sh
echo "$*" >>"$FAKE_LOG"
case "$*" in
    *"sys.version_info"*) exit "${FAKE_TOO_OLD:-0}" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"pip install"*) exit "${FAKE_PIP:-0}" ;;
esac
"""
UNAME = '#!/bin/sh\n[ "$1" = -s ] && echo {} || echo {}\n'


class Machine:
    def __init__(self, tmp_path: Path) -> None:
        self.root, self.bin, self.log = (tmp_path / name for name in ("a project", "bin", "log"))
        self.root.mkdir()
        self.bin.mkdir()
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            (self.root / name).write_bytes((ROOT / name).read_bytes())
        self.put("python3", FAKE_PYTHON)
        self.put("uname", UNAME.format("Linux", "x86_64"))
        self.put("nvidia-smi", "#!/bin/sh\nexit 9\n")

    def put(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def make(self, command: str, code: int = 0, **env: str) -> str:
        self.log.write_text("")
        env |= {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        env |= {"PATH": f"{self.bin}{os.pathsep}{env['PATH']}", "FAKE_LOG": str(self.log)}
        arguments = ["make", *command.split()]
        done = subprocess.run(arguments, cwd=self.root, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr + self.log.read_text()

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
def test_runtime_follows_the_driver(machine, driver, system, runtime):
    machine.put("nvidia-smi", f"#!/bin/sh\nexit {0 if driver else 9}\n")
    machine.put("uname", UNAME.format(*system.split()))
    made = machine.make("environment")
    assert "--constraint constraints.txt --editable .[pipeline,serve,video,test]" in made
    swapped = "--force-reinstall --no-deps --constraint constraints.txt onnxruntime-gpu"
    assert (swapped in made) == (runtime == "gpu")
    assert machine.stamps == [f".installed-{runtime}"]


def test_installs_again_only_when_something_changed(machine):
    assert "uninstall" not in machine.make("environment RUNTIME=cpu")
    assert "pip install" not in machine.make("environment RUNTIME=cpu")
    os.utime(machine.root / ".venv/.installed-cpu", (0, 0))
    again = machine.make("environment RUNTIME=cpu")
    assert "pip install" in again and "-m venv" not in again
    machine.make("environment RUNTIME=gpu")
    log = machine.log.read_text()
    removal = "uninstall --quiet --yes onnxruntime"
    assert log.index(f"{removal} onnxruntime-gpu") < log.index("[pipeline,serve,video,test]")
    assert (
        log.index("[pipeline,serve,video,test]")
        < log.index(f"{removal}\n")
        < log.index("--no-deps")
    )
    assert machine.stamps == [".installed-gpu"]


def test_an_unfinished_installation_is_made_anew(machine):
    machine.make("environment RUNTIME=cpu", code=2, FAKE_PIP="1")
    assert machine.stamps == [".installing"]
    (machine.root / ".venv/half").touch()
    machine.make("environment RUNTIME=cpu")
    assert machine.stamps == [".installed-cpu"] and not (machine.root / ".venv/half").exists()


def test_an_old_python_is_named_and_nothing_is_written(machine):
    said = machine.make("environment PYTHON=python3", code=2, FAKE_TOO_OLD="1")
    assert "depthmask needs Python 3.11 to 3.14" in said
    assert not (machine.root / ".venv").exists()


def test_make_test_checks_style_and_types_and_pytest_closes_it(machine):
    said = machine.make("-n test RUNTIME=cpu")
    tools = ("bin/ruff check", "bin/ruff format", "bin/mypy", "-m pytest")
    places = [said.rindex(tool) for tool in tools]
    assert places == sorted(places)
    assert "make repro" in machine.make("help")


def test_the_image_is_built_of_files_and_extras_that_exist():
    steps = (ROOT / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"(?m)^COPY (.+) \S+$", steps) for name in line.split()]
    kept = (ROOT / ".dockerignore").read_text().split()
    assert sorted(kept) == sorted(["*", *(f"!{name}" for name in copied)])
    assert all((ROOT / name).exists() for name in copied)
    (extras,) = re.findall(r"\.\[(.+)\]", steps)
    assert set(extras.split(",")) == {"serve"} <= EXTRAS.keys()
    (command,) = re.findall(r"(?m)^CMD (.+)$", steps)
    verb = get_command(app).commands[json.loads(command)[0]]
    assert {each for each in json.loads(command) if each[:2] == "--"} <= {
        name for option in verb.params for name in option.opts
    }


@pytest.mark.slow
def test_the_wheel_alone_predicts(tmp_path, difference_onnx, room_and_visitor):
    def run(*command: object, code: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run([*map(str, command)], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    copy = tmp_path / "project"  # setuptools builds inside of it
    shutil.copytree(ROOT / "src/depthmask", copy / "src/depthmask")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    run(sys.executable, "-m", "venv", "lean")
    python, pip = tmp_path / "lean/bin/python", ("-m", "pip", "--disable-pip-version-check")
    run(python, *pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", copy)
    installed = {
        normal(each["name"])
        for each in json.loads(run(python, *pip, "list", "--format=json").stdout)
    }
    assert "onnxruntime" in installed and not installed & {"torch", "pandas", "mlflow", "dvc", "av"}
    for name, image in zip(("plate", "frame"), room_and_visitor, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    (tmp_path / "film.mp4").touch()
    verb = tmp_path / "lean/bin/depthmask", "predict", "--model", difference_onnx, "--bg"
    assert "a person 4.0" in run(*verb, "plate.png", "--scene", "frame.png").stdout
    assert run(
        tmp_path / "lean/bin/depthmask",
        "bench",
        "--model",
        difference_onnx,
        "--runs",
        1,
        "--size",
        "48x48",
    )
    for command, extra in (
        ((*verb, "plate.png", "--scene", "film.mp4"), "video"),
        ((tmp_path / "lean/bin/depthmask", "lr-find", "x"), "pipeline"),
    ):
        said = run(*command, code=2).stderr
        assert f"install depthmask with its extra `{extra}`" in said and said.count("\n") == 1
