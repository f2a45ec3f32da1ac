"""Whether a training has come to where the bound settles, and how long it would have to be: read off its end."""

import math
import warnings
from dataclasses import dataclass

import torch

from .data.minibatch import Cells
from .elbo import bound_of_cells

N_CELLS = 1000  # on which the bound is computed once more, in evaluation mode
CLEARLY, SETTLED = 0.05, 0.01  # parts of the bound: what is worth a warning, and what is as good as nothing
SLOWEST = 0.5  # of what the last half of the epochs has gained the next half gains at most so much
WINDOW, FEWEST = 5, 5  # the end of the history: its last fifth, and at least so many epochs


class NotConverged(UserWarning):
    """`SCVI.fit` ended while the bound was still clearly on its way; as text the sentence of `Convergence`.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from scvi_core import SCVI, NotConverged
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(60, 12))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = SCVI(n_epochs=5).fit(counts)
    >>> [warning.category.__name__ for warning in caught if warning.category is NotConverged]
    ['NotConverged']
    >>> model.convergence_.converged
    False
    """


@dataclass(frozen=True)
class Convergence:
    """How far the bound of a fitted model is from where it settles, as its history tells.

    Attributes
    ----------
    converged : bool or None
        Whether less than 5% of the bound is missing, and less than 5% of the running statistics are from before the
        first step; None where there are fewer than two epochs to tell it from.
    n_epochs : int
        Epochs trained.
    missing : float or None, nats per cell
        An estimate of what the bound is still to gain.
    share : float or None
        The same as part of the bound.
    enough : int or None
        Epochs that would do, by estimate; None where the model has converged.
    """

    converged: bool | None
    n_epochs: int
    missing: float | None = None
    share: float | None = None
    enough: int | None = None

    def __str__(self):
        if self.converged is None:
            return f"Whether scVI has converged cannot be told after {self.n_epochs} epochs."
        if self.converged:
            return f"scVI has converged in {self.n_epochs} epochs."
        reason = f"its bound is still about {self.missing:,.0f} nats per cell ({self.share:.0%}) from where it settles"
        if self.share <= CLEARLY:
            reason = "they have too few steps for the running statistics of batch normalisation"
        return (
            f"scVI has not converged in {self.n_epochs} epochs: {reason}; about {self.enough} epochs would do "
            f"(n_epochs={self.enough})."
        )


def convergence(model, cells):
    """Judge the end of a training.

    Two things are behind in a training that is too short. The networks: the loss still falls. By how much it will is
    estimated as if each half of the training so far gained a fixed part of what the half before has gained, the way of
    everything that decays. And the running statistics of batch normalisation, which stand in for those of a minibatch
    once the model is asked something: they forget the networks of earlier epochs at the rate of their momentum, step by
    step. As long as they lag, the bound of the training cells in evaluation mode is worse than the loss in training, in
    spite of its dropout; a model that has settled has it better. What both make together is missing. Losses of epochs
    with another weight of the KL are made comparable with the KL at the end.

    Of epochs it takes as many as both need for coming down to a hundredth, at the least those in which the running
    statistics forget where they started, and as many again, for the bound is refined long after it has settled (CORTEX
    settles within the first fifth of the paper's 250 epochs).

    Parameters
    ----------
    model : SCVI
        At the end of `fit`.
    cells : Cells
        Those trained on. At most `N_CELLS` of them are looked at.

    Returns
    -------
    Convergence
    """
    history, n_epochs = model._history, len(model._history)
    if n_epochs < 2:
        return Convergence(None, n_epochs)
    evaluated, kl = _evaluated(model, cells)
    losses = torch.tensor([row["loss"] + (1 - row["kl_weight"]) * kl for row in history], dtype=torch.float64)
    middle, near = (n_epochs - 1) // 2, n_epochs // 10
    start, half = losses[0].item(), losses[middle - near : middle + near + 1].mean().item()
    end = _end(losses[-max(FEWEST, n_epochs // WINDOW) :])
    first_half, last_half = max(0.0, start - half), max(0.0, half - end)
    pace = min(SLOWEST, last_half / first_half) if first_half else SLOWEST
    to_fall = min(last_half * pace / (1 - pace), end)  # the loss of counts is not negative
    lag = min(max(0.0, evaluated - end), 100 * end)
    missing, settled = to_fall + lag, SETTLED * end
    # logarithm of the part of the running statistics that an epoch leaves
    forget = math.log1p(-model.batch_norm_momentum) * max(1, round(len(cells) / model.batch_size))
    if missing <= CLEARLY * end and (not forget or n_epochs * forget <= math.log(CLEARLY)):
        return Convergence(True, n_epochs, missing, missing / end)
    more = [0.0]
    if to_fall > settled:
        more.append(math.log(settled / to_fall) / math.log(pace) * n_epochs / 2)
    if lag > settled and forget:
        more.append(math.log(settled / lag) / forget)
    least = math.log(SETTLED) / forget if forget else 0.0
    enough = _round_up(2 * max(n_epochs + max(more), least))
    return Convergence(False, n_epochs, missing, missing / end, enough)


def warn(found):
    """Emit `NotConverged` where that is what was found."""
    if found.converged is False:
        warnings.warn(NotConverged(str(found)), stacklevel=3)


def _end(losses):
    """The end of the straight line through the losses of some epochs."""
    away = torch.arange(len(losses), dtype=losses.dtype) - (len(losses) - 1) / 2
    slope = (away * losses).sum() / away.square().sum()
    return (losses.mean() + slope * away[-1]).item()


def _evaluated(model, cells):
    """Minus the bound of some of the cells in evaluation mode, and of that the KL that has a weight in training."""
    rows = torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))[:N_CELLS].sort().values
    some = Cells(cells.X[rows.numpy()], cells.batch.cpu()[rows], cells.device)

    def loss(*weights):
        generator = torch.Generator(cells.device).manual_seed(0)
        return -bound_of_cells(model.network_, some, generator, *weights).double().mean().item()

    whole = loss(1.0, 1.0)
    return whole, whole - loss(0.0, 0.0 if model.kl_warmup_of == "all" else 1.0)


def _round_up(n):
    """The next number of two digits and zeros."""
    unit = 10 ** max(0, math.floor(math.log10(n)) - 1)
    return math.ceil(n / unit) * unit
