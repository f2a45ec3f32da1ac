"""Which code computes a training step, and which the answers of a fitted model: ``SCVI(engine=)``.

A step is an object with ``name``, ``network``, ``cells``, ``state()``, ``restore(state)`` and

    step(rows, weight_z, weight_l, noise=None) -> loss

which moves the parameters of ``network`` once and returns the loss as a tensor without dimensions, still on the
device. The parameters live in the network's modules. Given the same noise, every engine leaves the parameters that
`PlainStep` leaves, up to rounding. Answers are an object with what `PlainAnswers` has, equal to it up to rounding.

What does not serve says why in ``refuses``: a fast engine names all that it serves (`written_out.served`), so that a
likelihood or an option that is new is refused until somebody writes it there.
"""

import logging

from .c.answers import FusedAnswers
from .c.step import FusedStep
from .cuda.check import CheckedStep
from .distributed import DistributedStep
from .plain import PlainAnswers, PlainStep

STEPS = (CheckedStep, FusedStep, PlainStep)  # fastest first
ANSWERS = (FusedAnswers, PlainAnswers)


def make_step(engine, network, cells, generator, options):
    """Return the step of the engine of that name, or with "auto" the first that serves the options.

    Raises
    ------
    ValueError
        The engine is not there or does not serve the options.
    """
    kinds = STEPS if engine == "auto" else (_named(engine),)
    return _first(engine, kinds, network, cells, options)(network, cells, generator, options)


def make_answers(engine, network, cells):
    """Return the answers of the engine of that name or, where it is for training alone, of the first that serves.

    Raises
    ------
    ValueError
        The engine is not there or does not serve the network or the cells.
    """
    if engine != "auto":
        _named(engine)
    kinds = [kind for kind in ANSWERS if kind.name == engine] or ANSWERS
    return _first(engine, kinds, network, cells)(network, cells)


def _named(engine):
    kinds = {kind.name: kind for kind in (*STEPS, DistributedStep)}  # the last never by itself: it waits for others
    if engine not in kinds:
        known = ", ".join(map(repr, kinds))
        raise ValueError(f"SCVI(engine={engine!r}) is not known: choose 'auto' or one of {known}.")
    return kinds[engine]


def _first(engine, kinds, *given):
    for kind in kinds:
        reason = kind.refuses(*given)
        if reason is None:
            return kind
        logging.getLogger(__name__).info("The engine %r is not used: %s.", kind.name, reason)
    raise ValueError(f"SCVI(engine={engine!r}) cannot be used: {reason}. Choose engine='auto'.")
