"""What must be true of the files themselves."""

from __future__ import annotations

import re
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from triggerfish.triggers import TRIGGERS

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = (
    "requirements/build.txt",
    "requirements/dev.txt",
    "src/triggerfish/local/requirements/emulator.txt",
    "src/triggerfish/local/requirements/lambda.txt",
    "src/triggerfish/deploy/requirements-functions.txt",
)
PINNED = re.compile(r"^[a-z0-9][a-z0-9._-]*==[^\s;]+( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
ADDRESS_OF_AN_INDEX = re.compile(
    r'"resolved": *"http|index[-_]url|find-links *=|https?://[^ "]+\.(whl|tgz|tar\.gz)'
    r'|https?://[^ "]*/simple/?'
)
PATH_OF_A_MACHINE = re.compile(r"(^|[^A-Za-z0-9_.])/(root|home/[a-z]+|work|Users)/")


def repository_files() -> list[Path]:
    """What git has, or would have once added."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def lines_of(pattern: re.Pattern[str]) -> list[str]:
    """Each line of a text file that the pattern is found in; this file, which holds them, aside."""
    found = []
    for path in repository_files():
        if path == Path(__file__) or path.suffix in {".pyc", ".png", ".gz", ".zip"}:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), start=1)
            if pattern.search(line)
        ]
    return found


@pytest.mark.parametrize(
    "name",
    [
        ".ci/run",
        ".importlinter",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "docs/provision.md",
        "docs/reference/config.md",
        "docs/reference/glossary.md",
        "docs/reference/local-parity.md",
        "src/triggerfish/py.typed",
    ],
)
def test_file_is_there_and_says_something(name: str) -> None:
    assert (ROOT / name).is_file()
    assert name.endswith("py.typed") or (ROOT / name).read_text().strip()


@pytest.mark.parametrize(("name", "most"), [("ARCHITECTURE.md", 150), ("README.md", 120)])
def test_page_is_short(name: str, most: int) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= most


def test_source_files_hold_one_idea() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "src").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 500
    }
    assert long == {}


def test_no_file_names_a_package_index() -> None:
    assert lines_of(ADDRESS_OF_AN_INDEX) == []


def test_no_file_holds_a_path_of_a_machine() -> None:
    assert lines_of(PATH_OF_A_MACHINE) == []


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_are_pinned_and_hashed(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    pins = [number for number, line in enumerate(lines) if PINNED.match(line)]
    assert pins
    assert all(HASH.match(lines[number + 1]) for number in pins)
    others = [line for line in lines if not (PINNED.match(line) or HASH.match(line))]
    assert [line for line in others if line.strip() and not line.lstrip().startswith("#")] == []


def test_every_requirement_file_is_checked() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in repository_files()
        if path.suffix == ".txt" and "requirements" in str(path.relative_to(ROOT))
    }
    assert found == set(REQUIREMENTS)


def test_what_the_package_asks_for_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    wanted = [
        *project["project"]["dependencies"],
        *(requirement for extra in extras for requirement in extra),
        *project["dependency-groups"]["dev"],
    ]
    pinned = (ROOT / "requirements" / "dev.txt").read_text()
    names = {re.split(r"[\[><=~!; ]", requirement)[0] for requirement in wanted}
    assert {name for name in names if f"\n{name}==" not in f"\n{pinned}"} == set()


def test_every_trigger_has_its_place_in_the_import_rules() -> None:
    rules = ConfigParser()
    rules.read(ROOT / ".importlinter")
    layers = rules["importlinter:contract:layers"]["layers"].split()
    assert [package for package in TRIGGERS.values() if package not in layers] == []


def test_ci_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text().splitlines()


def test_every_make_target_is_in_the_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)
    described = re.findall(r"^([a-z]+):.* ## \S", makefile, re.MULTILINE)
    assert sorted(targets) == sorted(described)


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if not target.startswith(("http", "mailto:")) and not (page.parent / target).exists()
    ]
    assert broken == []
