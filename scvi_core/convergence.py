"""Whether a training has come to where the bound settles, and how long it would have to be: read off its end."""

import math
import warnings
from dataclasses import dataclass

import torch

from .data.minibatch import Cells
from .elbo import bound_of_cells

N_CELLS = 1000  # on which the bound is computed once more, in evaluation mode
CLEARLY, SETTLED = 0.05, 0.01  # parts of the bound: what is worth a warning, and what is as good as nothing
SLOWEST = 0.8  # of what the last half of the epochs has gained the next half gains at most so much
WINDOW, FEWEST = 5, 5  # the end of the history: its last fifth, and at least so many epochs


class NotConverged(UserWarning):
    """`SCVI.fit` ended while the bound was still clearly on its way; as text the sentence of `Convergence`."""


@dataclass(frozen=True)
class Convergence:
    """How far the bound of a fitted model is from where it settles, as its history tells.

    Attributes
    ----------
    converged : bool or None
        Whether less than 5% of the bound is missing; None where there are fewer than two epochs to tell it from.
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
        return (
            f"scVI has not converged in {self.n_epochs} epochs: the bound is about {self.missing:.3g} nats per cell "
            f"({self.share:.0%}) from where it settles; about {self.enough} epochs would do (n_epochs={self.enough})."
        )


def convergence(model, cells):
    """Judge the end of a training.

    Two things are behind in a training that is too short. The networks: the loss still falls. By how much it will is
    estimated as if each half of the training so far gained a fixed part of what the half before has gained, the way of
    everything that decays. And the running statistics of batch normalisation, which stand in for those of a minibatch
    once the model is asked something: they forget the networks of earlier epochs at the rate of their momentum, step by
    step. As long as they lag, the bound of the training cells in evaluation mode is worse than the loss in training, in
    spite of its dropout; a model that has settled has it better. What both make together is missing.

    Of epochs it takes as many as both need for coming down to a hundredth, and as many again, for the bound is refined
    long after it has settled (CORTEX settles within the first fifth of the paper's 250 epochs).

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
    losses = torch.tensor([row["loss"] for row in model._history], dtype=torch.float64)
    n_epochs = len(losses)
    if n_epochs < 2:
        return Convergence(None, n_epochs)
    start, end, slope = losses[0].item(), *_line(losses[-max(FEWEST, n_epochs // WINDOW) :])
    last_half = max(0.0, -slope * n_epochs / 2)
    first_half = max(start - end - last_half, 0.0)
    pace = min(SLOWEST, last_half / first_half) if first_half else SLOWEST
    to_fall = last_half * pace / (1 - pace)
    lag = min(max(0.0, _evaluated(model, cells) - end), 100 * end)
    missing, settled = to_fall + lag, SETTLED * end
    if missing <= CLEARLY * end:
        return Convergence(True, n_epochs, missing, missing / end)
    steps = max(1, len(cells) // model.batch_size)  # of an epoch
    more = [0.0]
    if to_fall > settled:
        more.append(math.log(settled / to_fall) / math.log(pace) * n_epochs / 2)
    if lag > settled and model.batch_norm_momentum > 0:
        more.append(math.log(settled / lag) / math.log1p(-model.batch_norm_momentum) / steps)
    return Convergence(False, n_epochs, missing, missing / end, _round_up(2 * (n_epochs + max(more))))


def warn(found):
    """Emit `NotConverged` where that is what was found."""
    if found.converged is False:
        warnings.warn(NotConverged(str(found)), stacklevel=3)


def _line(losses):
    """End and slope per epoch of the straight line through the losses of some epochs."""
    epochs = torch.arange(len(losses), dtype=losses.dtype)
    away = epochs - epochs.mean()
    slope = (away * losses).sum() / away.square().sum()
    return (losses.mean() + slope * away[-1]).item(), slope.item()


def _evaluated(model, cells):
    """Minus the bound of some of the cells in evaluation mode, with the weights of the last epoch."""
    rows = torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))[:N_CELLS].sort().values
    some = Cells(cells.X[rows.numpy()], cells.batch.cpu()[rows], cells.device)
    generator = torch.Generator(cells.device).manual_seed(0)
    weight = model._history[-1]["kl_weight"]
    weight_l = weight if model.kl_warmup_of == "all" else 1.0
    return -bound_of_cells(model.network_, some, generator, weight, weight_l).double().mean().item()


def _round_up(n):
    """The next number of two digits and zeros."""
    unit = 10 ** max(0, math.floor(math.log10(n)) - 1)
    return math.ceil(n / unit) * unit
