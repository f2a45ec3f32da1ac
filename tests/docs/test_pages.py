"""What stands in code blocks of the site runs, and prints what the page says it prints.

A page is read from the top. A Python block runs in the namespace of those before it, a shell block through the command
that it names, a block below a line with a file's name is written to that file. A block of text is what the block before
it prints (``...`` is anything). What is marked ``not-run`` takes too long, or needs what is not here.
"""

import contextlib
import doctest
import importlib
import importlib.util
import io
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.command_line import command

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(
    r"^(?:`(?P<file>mine/[\w/.]+)`:\n\n)?```(?P<kind>python|sh|yaml|text)\n(?P<code>.*?)^```$", re.M | re.S
)
FOLDERS = ("tutorials", "explanation", "guides")
PAGES = [DOCS / "start.md", *(page for folder in FOLDERS for page in sorted((DOCS / folder).glob("*.md")))]
WITH_BLOCKS = [page.relative_to(DOCS).as_posix() for page in PAGES if BLOCK.search(page.read_text())]
ON_A_CLUSTER = "tutorials/slurm.md"  # below


def blocks(page):
    """(name of a file or None, kind, code, line) of each block of a page."""
    text = (DOCS / page).read_text()
    return [
        (*match.group("file", "kind", "code"), text[: match.start()].count("\n") + 1) for match in BLOCK.finditer(text)
    ]


def expected(wanted, got):
    """Whether a block of text is what was printed."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(wanted, got, flags)


def shell(code, cwd):
    """Run the commands of a block, each a ``python -m experiments.NAME``; return what they print."""
    printed = ""
    for line in code.replace("\\\n", " ").strip().split("\n"):
        words = shlex.split(line, comments=True)
        path = [cwd / word.partition("=")[2] for word in words if word.startswith("PYTHONPATH=")]
        words = [word for word in words if not word.startswith("PYTHONPATH=")]
        assert words[:2] == ["python", "-m"], f"{line}: the test knows `python -m` only"
        done = command(*words[3:], cwd=cwd, path=path, main=importlib.import_module(words[2]).main)
        assert not done.returncode, done.stdout + done.stderr
        printed += done.stdout
    return printed


def run_page(page, cwd, shell=shell):
    """Run the blocks of a page in a folder; return how many there were."""
    namespace, printed = {"__name__": "__main__"}, ""
    for file, kind, code, line in blocks(page):
        where = f"{page}, block at line {line}"
        if file:
            (cwd / file).parent.mkdir(parents=True, exist_ok=True)
            (cwd / file).write_text(code)
        elif kind == "text":
            assert expected(code, printed), f"{where} says\n{code}\nand this is printed:\n{printed}"
        elif kind == "sh":
            printed = shell(code, cwd)
        else:
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(code, where, "exec"), namespace)
            printed = output.getvalue()
    return len(blocks(page))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, from which the packages are found and the committed results seen."""
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in WITH_BLOCKS if page != ON_A_CLUSTER])
def test_the_blocks_of_a_page_run(page, folder):
    assert run_page(page, folder) > 0


def test_a_block_that_prints_something_else_is_found(folder):
    assert expected("a ... c\n", "a b c\n")
    assert not expected("a ... d\n", "a b c\n")


def test_every_tutorial_has_blocks():
    tutorials = {f"tutorials/{page.name}" for page in (DOCS / "tutorials").glob("*.md")}
    assert tutorials
    assert tutorials <= set(WITH_BLOCKS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Figure")
def test_the_notebook_runs(folder, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    found = runpy.run_path(str(DOCS / "tutorials" / "notebook.py"))
    assert found["scores"]["scVI"] > 0.8
    assert found["correlation"] > 0.8


def on_slurm(code, cwd):
    """Run the commands of a block inside a Slurm of this machine."""
    printed = ""
    for line in code.replace("\\\n", " ").strip().split("\n"):
        call = ["sh", str(ROOT / "tests/slurm/start.sh"), sys.executable, *shlex.split(line)[1:]]
        done = subprocess.run(call, cwd=cwd, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        printed += done.stdout
    return printed


@pytest.mark.cluster
def test_the_tutorial_on_slurm_runs(folder):
    if not (
        importlib.util.find_spec("submitit") and shutil.which("sbatch") and shutil.which("munged", path="/usr/sbin")
    ):
        pytest.skip("submitit, Slurm or munge is not installed (pip install -e '.[slurm]'; Debian: slurm-wlm, munge)")
    assert run_page(ON_A_CLUSTER, folder, on_slurm) > 0
