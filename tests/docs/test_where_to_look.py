"""The pages that lead to files lead to files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs/explanation/architecture.md").read_text()
TESTS = (ROOT / "tests/README.md").read_text()


def rows(page: str, heading: str) -> list[list[str]]:
    """Give the cells of the tables below a heading."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [row.split(" | ") for row in re.findall(r"^\| (?!---)(.*) \|$", section, re.MULTILINE)][1:]


def test_each_question_leads_to_files_that_exist():
    questions = {
        question: re.findall(r"`([\w./-]+)`", files) for question, files in rows(ARCHITECTURE, "Where to look")
    }
    assert len(questions) >= 15
    for question, files in questions.items():
        assert files, question
        assert [name for name in files if not (ROOT / name).is_file()] == [], question


@pytest.mark.parametrize("folder", [path.name for path in (ROOT / "tests").iterdir() if path.is_dir()])
def test_tests_readme_names_each_folder(folder):
    if folder != "__pycache__":
        assert f"`{folder}/" in TESTS


def test_tests_readme_names_files_and_fixtures_that_exist():
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    sources += (ROOT / "tools/vonage_standin/fixtures.py").read_text()
    for name in re.findall(r"`([\w/]+\.py)`", TESTS):
        assert list((ROOT / "tests").rglob(name)), name
    for names, _ in rows(TESTS, "Fixtures"):
        for name in re.findall(r"`(\w+)`", names):
            assert f"def {name}(" in sources, name
