"""What an experiment gives back about a job becomes a record, or one sentence."""

import dataclasses
import errno

import numpy as np
import pytest

from experiments.loop.outcome import check_outcome, convergence_of, not_converged, why


def test_numbers_of_numpy_become_plain_ones():
    returned = {"a": np.float32(0.5), "b": np.array([2])}, {"x": [1, 2]}, {"n": np.int64(3), "m": np.arange(2)}
    scores, arrays, facts = check_outcome("mine", returned)
    assert scores == {"a": 0.5, "b": 2}
    assert {type(value) for value in scores.values()} == {float, int}
    np.testing.assert_array_equal(arrays["x"], [1, 2])
    assert facts == {"n": 3, "m": [0, 1]}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "returned NoneType: return three dicts, scores, arrays, facts"),
        ({"a": 1.0}, "returned dict: return three dicts"),
        (({}, {}), "returned dict, dict: return three dicts"),
        (({}, {}, None), "returned dict, dict, NoneType: return three dicts"),
        (({"a": 1j}, {}, {}), r"returned the score 'a' as 1j \(complex\): a score is one real number"),
        (({"a": None}, {}, {}), r"the score 'a' as None \(NoneType\)"),
        (({"a": np.zeros(2)}, {}, {}), r"the score 'a' as array\(\[0., 0.\]\) \(ndarray\)"),
        (({}, {"x": [None]}, {}), "returned objects in the array 'x': make it an array of numbers or of text"),
        (({}, {}, {(1, 2): 3}), r"returned facts that cannot be written as JSON \(keys must be"),
    ],
)
def test_what_cannot_be_a_record_is_said(returned, said):
    with pytest.raises(ValueError, match=rf"^evaluate\(\) of mine (returned )?{said}"):
        check_outcome("mine", returned)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/r/x.log"), "/r/x.log cannot be read or written (Read-only fi"),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "a"),
            "a cannot be read or written (No such file",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "the system refuses (No space left on device): "),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "what reads the output has ended"),
        (OSError("a sentence of ours"), "a sentence of ours"),
        (KeyError("batch"), "KeyError: 'batch'"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit("bye"), "its code called sys.exit('bye'), which ends a program"),
    ],
)
def test_reasons_are_sentences(error, said):
    assert why(error).startswith(said)
    assert "Errno" not in why(error)


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def test_a_reason_is_one_line_whatever_an_error_says():
    assert why(ValueError("first\nsecond\r\n\x1b[31mred\x00 end ")) == "first second [31mred end"
    assert why(Speechless()) == "Speechless"
    assert len(why(ValueError("x" * 10**6))) < 1100


@dataclasses.dataclass(frozen=True)
class Convergence:
    converged: bool | None
    enough: int | None = None

    def __str__(self):
        return f"it takes {self.enough}."


def test_what_has_not_converged_is_said_once_for_each_method_with_the_number_that_would_do():
    def record(label, *convergence):
        method = type("Fitted", (), {"convergence_": Convergence(*convergence)} if convergence else {})()
        return {"label": label, "convergence": convergence_of(method)}

    records = [record("scVI", False, 200), record("scVI", False, 300), record("scVI", True), record("PCA")]
    records += [record("other", True), record("other", None), {"label": "of an earlier version"}]
    assert not_converged(records) == ["scVI, 2 of 3 jobs: it takes 300."]
    assert records[0]["convergence"] == {"converged": False, "enough": 200, "sentence": "it takes 200."}
