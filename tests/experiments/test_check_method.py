"""A user's own class, asked what every method is asked; each planted fault is found and said in a sentence."""

import pytest
from hydra.core.global_hydra import GlobalHydra

from experiments import check_method

SOUND = """
import numpy as np

from baselines.base import Method


class Mine(Method):
    def __init__(self, k=3, random_state=0):
        self.k = k
        self.random_state = random_state

    def fit(self, X, batch=None):
        self.weight_ = np.random.default_rng(self.random_state).random(X.shape[1])
        return self

    def impute(self, X, batch=None):
        return X.toarray() * self.weight_
"""
FAULTS = {
    "no return": (
        "return self\n\n    def impute",
        "pass\n\n    def impute",
        "end it with `return self`",
    ),
    "its own parameter": ("self.k = k", "self.k = k + 1", "__init__ stores its arguments as they are"),
    "another shape": (
        "X.toarray() * self.weight_",
        "X.toarray()[:, 1:]",
        "returned shape (200, 49) for 200 cells",
    ),
    "negative": ("* self.weight_", "* self.weight_ - 1", "return counts, which are not negative"),
    "not finite": ("* self.weight_", "/ 0.0 * self.weight_", "return finite numbers alone"),
    "global draws": (
        "np.random.default_rng(self.random_state).random",
        "np.random.rand",
        "default_rng(self.random_state)",
    ),
    "needs batches": ("self.weight_ =", "len(batch); self.weight_ =", "mend it at planted_mine.py, line 13"),
    "answers nothing": ("def impute", "def fill", "define one of latent, impute"),
    "sees the truth": ("def __init__", "sees_truth = True\n    def __init__", "remove it"),
}


@pytest.fixture
def checked(tmp_path, monkeypatch, capsys):
    """Call the command on the class with a text in the place of another; its exit code and what it says."""

    def call(old="", new="", *arguments):
        (tmp_path / "planted_mine.py").write_text(SOUND.replace(old, new) if old else SOUND)
        folder = tmp_path / "conf" / "method"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mine.yaml").write_text("_target_: planted_mine.Mine\nk: 5\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(__import__("sys").modules, "planted_mine", raising=False)
        monkeypatch.setattr(GlobalHydra.instance(), "hydra", None)
        code = check_method.main(["mine", "--config-dir", str(tmp_path / "conf"), *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def test_a_sound_class_passes(checked):
    code, said = checked()
    assert code == 0, said
    assert "planted_mine.Mine: 7 checks passed, 0 failed, 1 left out." in said
    assert "it does not compare groups" in said


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_fault_is_a_sentence(checked, fault):
    old, new, expected = FAULTS[fault]
    assert old in SOUND
    code, said = checked(old, new)
    assert code == 1, said
    assert expected in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["methods.mine.kk=1"], "The keys there are"), (["+methods.mine.kk=1"], "is not a parameter of Mine")],
)
def test_a_setting_that_will_not_do_is_a_sentence(checked, arguments, expected):
    code, said = checked("", "", *arguments)
    assert code == 1
    assert expected in said


def test_a_seed_is_given_where_the_class_takes_one(checked):
    code, said = checked("random_state=0", "random_state=None")  # as jobs do: job.seeds.fit
    assert code == 0, said


def test_a_class_without_fit_is_a_sentence(checked):
    code, said = checked("def fit", "def fits")
    assert code == 1
    assert "error: methods.mine: planted_mine.Mine has no fit(): define it." in said


def test_a_class_that_is_not_found_is_a_sentence(checked):
    code, said = checked("class Mine", "class Other")
    assert code == 1
    assert "PYTHONPATH" in said
