"""The method of README.md, put into the suite as README.md says, passes the suite."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = Path("tests", "baselines", "test_conformance.py")


@pytest.mark.slow
def test_the_method_of_the_readme_passes_the_suite(tmp_path):
    section = re.search(r"^## Add your method.*?(?=^## )", (ROOT / "README.md").read_text(), re.M | re.S).group()
    code, config = (re.search(rf"```{kind}\n(.*?)```", section, re.S).group(1) for kind in ("python", "yaml"))
    target = re.search(r"with `(_target_: \S+)`", section).group(1)

    for folder in ("baselines", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for package in ("scvi_core", "r_env"):
        (tmp_path / package).symlink_to(ROOT / package)
    for file in ("pyproject.toml", SUITE):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "baselines" / "smoothing.py").write_text(code)
    (tmp_path / "conf" / "method" / "smoothing.yaml").write_text(re.sub(r"_target_: \S+", target, config))

    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(SUITE), "-k", "[smoothing-"]
    done = subprocess.run(suite, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    passed, skipped = (int(re.search(rf"(\d+) {word}", done.stdout).group(1)) for word in ("passed", "skipped"))
    assert passed >= 7
    assert skipped == 1  # it compares no groups
