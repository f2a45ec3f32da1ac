"""README.md is short, and what it links to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def anchor(heading):
    """The address of a heading, as Sphinx and code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_it_is_short():
    assert len(README.splitlines()) <= 120
    assert [line for line in README.splitlines() if line.startswith("|") and len(line) > 120] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "baselines/README.md", "datasets/README.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    dead = []
    for address in re.findall(r"\]\(([^)#\s]*(?:#[\w-]+)?)\)", text):
        name, _, at = address.partition("#")
        if "://" in name:
            continue
        target = (ROOT / page).parent / name
        headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M) if at and target.is_file() else []
        if not target.exists() or (at and at not in map(anchor, headings)):
            dead.append(address)
    assert dead == []


def test_its_two_commands_are_those_of_the_makefile():
    commands = re.findall(r"^make (\w+)", README, re.M)
    assert commands == ["reproduce", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^(?:\w+ )*{command}(?: \w+)*:", makefile, re.M) for command in commands)
