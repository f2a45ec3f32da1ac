"""What an experiment gives back about a job, checked before it becomes a record."""

import dataclasses
import json
from collections.abc import Mapping
from numbers import Real

import numpy as np

PARTS = ("scores", "arrays", "facts")
LONGEST = 1000  # letters of a reason; the traceback beside it has all


def check_outcome(module, returned):
    """Return ``(scores, arrays, facts)`` of an ``evaluate`` as a record keeps them.

    Parameters
    ----------
    module : str
        The experiment, for the sentence.
    returned : object
        What its ``evaluate`` returned.

    Raises
    ------
    ValueError
        They are not three mappings, a score is no real number, an array holds objects, a fact no JSON.
    """
    where = f"evaluate() of {module} returned"
    if not (isinstance(returned, tuple) and len(returned) == 3 and all(isinstance(part, Mapping) for part in returned)):
        kinds = ", ".join(type(part).__name__ for part in returned) if isinstance(returned, tuple) else ""
        raise ValueError(f"{where} {kinds or type(returned).__name__}: return three dicts, {', '.join(PARTS)}.")
    scores, arrays, facts = returned
    scores = {name: _number(f"{where} the score {name!r} as", value) for name, value in scores.items()}
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"{where} objects in the array {name!r}: make it an array of numbers or of text.")
    try:
        return scores, arrays, json.loads(json.dumps(dict(facts), default=plain))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} facts that cannot be written as JSON ({error}): use numbers and text.") from error


def _number(where, value):
    value = value.item() if isinstance(value, np.generic | np.ndarray) and np.size(value) == 1 else value
    if not isinstance(value, Real):
        raise ValueError(f"{where} {value!r} ({type(value).__name__}): a score is one real number.")
    return value


def convergence_of(method):
    """What a fitted method says of its convergence, as JSON has it; None where it says nothing.

    A method says it in ``convergence_``, a dataclass with ``converged`` (true, false or None where it cannot be told),
    ``enough`` (iterations that would do) and one sentence as its text (`scvi_core.SCVI`).
    """
    said = getattr(method, "convergence_", None)
    return None if said is None else dataclasses.asdict(said) | {"sentence": str(said)}


def not_converged(records):
    """A sentence for each method that has not converged in every job: that of the job which is furthest from it."""
    said = []
    for label, found in _told(records).items():
        short = [convergence for convergence in found if convergence["converged"] is False]
        if short:
            worst = max(short, key=lambda convergence: convergence["enough"] or 0)
            said.append(f"{label}, {len(short)} of {len(found)} jobs: {worst['sentence']}")
    return said


def _told(records):
    told = {}
    for record in records:
        if record.get("convergence"):
            told.setdefault(record["label"], []).append(record["convergence"])
    return told


def plain(value):
    """What JSON has no form for: numbers and lists of NumPy as Python's, anything else as its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def why(error):
    """What a run says of an exception: one sentence, without the words of Python where they are none for people."""
    if isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
        code = repr(error.code) if isinstance(error, SystemExit) else ""
        called = "called sys.exit" if isinstance(error, SystemExit) else f"raised {type(error).__name__}"
        return f"its code {called}({code}), which ends a program: let it raise an error that says what is wrong instead"
    if isinstance(error, BrokenPipeError):
        return "what reads the output has ended (`| head`, say): let it read to the end, or write into a file."
    if isinstance(error, OSError) and str(error).startswith("[Errno "):
        if error.filename is None:
            return f"the system refuses ({error.strerror}): make room, or look at what this machine allows."
        return f"{error.filename} cannot be read or written ({error.strerror}): make room there, or name another place."
    try:
        said = f"KeyError: {error}" if isinstance(error, KeyError) else one_line(str(error))
    except Exception:  # of the error's own __str__
        said = ""
    return said or type(error).__name__


def one_line(text):
    """Text of others as one line that a terminal and a table take: without line ends and control characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"
