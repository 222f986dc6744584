"""The wheel and the sdist are complete: they have everything that a user needs, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from jedlik import __version__
from testing.source_tree import PACKAGE, ROOT

BUILD_SECONDS = 120
NOT_PACKED = {"build-state.json"}
"""What the build of the console leaves beside the sources."""
LICENCE = f"jedlik-{__version__}.dist-info/licenses/LICENSE"


def build(folder: Path, kind: str, project: Path = ROOT) -> Path:
    """Build a distribution of a project into a folder, with the backend that pip uses, without an index."""
    words = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    subprocess.run(words, cwd=project, check=True, capture_output=True, timeout=BUILD_SECONDS)
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(folder / "built", "sdist")) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"jedlik-{__version__}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, sdist: Path) -> Path:
    """The wheel, as it is built from the sdist."""
    return build(tmp_path_factory.mktemp("wheel"), "wheel", sdist)


def test_the_sdist_has_all_that_building_and_testing_need(sdist: Path) -> None:
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "Makefile", "tests/conftest.py"):
        assert (sdist / name).read_bytes() == (ROOT / name).read_bytes()
    packed = {path.relative_to(sdist) for path in (sdist / "src").rglob("*") if path.is_file()}
    assert packed == source_files(ROOT)


def test_the_wheel_has_the_package_its_types_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"jedlik-{__version__}.dist-info/METADATA").decode()
        entry_points = archive.read(f"jedlik-{__version__}.dist-info/entry_points.txt").decode()
        assert archive.read(LICENCE) == (ROOT / "LICENSE").read_bytes()
    package = {name for name in names if name.startswith("jedlik/")}
    assert package == {path.relative_to("src").as_posix() for path in source_files(ROOT)}
    assert "jedlik/py.typed" in package
    assert {name.partition("/")[0] for name in names} == {"jedlik", f"jedlik-{__version__}.dist-info"}
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert sorted(one for one in needed if "extra ==" not in one) == sorted(project["dependencies"])
    assert entry_points.split() == ["[console_scripts]", "jedlik", "=", "jedlik.__main__:main"]


def test_the_wheel_runs_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import jedlik.cli; print(jedlik.cli.__file__); jedlik.cli.main(['--version'])"
    environment = {"PYTHONPATH": str(tmp_path)}
    words = [sys.executable, "-c", code]
    printed = subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
    assert printed == f"{tmp_path / 'jedlik' / 'cli' / '__init__.py'}\njedlik {__version__}\n"


def test_the_lock_file_has_every_dependency_and_names_no_index() -> None:
    locked = (ROOT / "requirements-dev.lock").read_text()
    names = {line.partition("==")[0] for line in locked.splitlines() if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {one.partition(">=")[0] for one in wanted} <= names
    assert "://" not in locked
    assert "--" not in locked.replace("--custom-compile-command", "")


def source_files(project: Path) -> set[Path]:
    """The files of the package, by their paths in the project."""
    return {
        path.relative_to(project)
        for path in (project / PACKAGE.relative_to(ROOT)).rglob("*")
        if "__pycache__" not in path.parts and path.is_file() and path.name not in NOT_PACKED
    }
