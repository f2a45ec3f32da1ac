"""The training loop: epochs, KL warm-up, stopping, and the guard against divergence."""

import copy
import math
import time

import torch


class TrainingDiverged(RuntimeError):
    """The objective is no longer finite; the model keeps the parameters of the last good epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from scvi_core import SCVI, TrainingDiverged
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(60, 12))
    >>> try:
    ...     SCVI(lr=1e30, n_epochs=5).fit(counts)
    ... except TrainingDiverged:
    ...     print("the objective is no longer finite")
    the objective is no longer finite
    """


def warmup(over):
    """KL weight by epoch: min(1, epoch / over), counted from zero (``over`` = 0: always 1, infinity: always 0)."""
    return lambda epoch: 1.0 if over == 0 else min(1.0, epoch / over)


class Stopping:
    """Early stopping on the loss of validation cells, looked at once an epoch.

    A counter rises with every epoch whose loss is above the best so far and returns to zero at a new best; training
    stops when it reaches ``patience``. With ``rule="authors"`` the loss carries the KL weights of the epoch and the
    parameters of the stopping epoch are kept, as in the authors' code; with ``rule="patience"`` the loss is the bound
    itself and the parameters of the best epoch are put back.
    """

    def __init__(self, rule, patience, network, loss):
        self.restores = rule == "patience"
        self.patience, self.network, self.loss = patience, network, loss
        self.best, self.counter, self.best_state = math.inf, 0, None

    def update(self, weight_z, weight_l):
        """Return the validation loss of this epoch."""
        value = self.loss(1.0, 1.0) if self.restores else self.loss(weight_z, weight_l)
        if value < self.best:
            self.best, self.counter = value, 0
            self.best_state = copy.deepcopy(self.network.state_dict()) if self.restores else None
        else:
            self.counter += 1
        return value

    @property
    def done(self):
        return self.counter >= self.patience

    def finish(self):
        if self.best_state is not None:
            self.network.load_state_dict(self.best_state)
            self.best_state = None

    def state(self):
        return {"best": self.best, "counter": self.counter, "best_state": self.best_state}

    def restore(self, state):
        self.best, self.counter, self.best_state = state["best"], state["counter"], state["best_state"]


def train(step, epochs, *, sampling, batch_size, generator, weights, history, stopping=None, verbose=False, reports=()):
    """Run ``step`` over the given epochs and append one row per epoch to ``history``.

    Parameters
    ----------
    step : a step of `scvi_core.engines.choose`
    epochs : range
        Numbers of the epochs to run, counted from zero over all calls.
    sampling : {"shuffle", "blocks", "replacement"}
    generator : torch.Generator
        Draws the rows; on the CPU.
    weights : callable
        Epoch -> (weight of KL(z), weight of KL(l)).
    history : list of dict
        Columns: epoch, loss (mean of the minibatch losses), kl_weight, validation_loss (nan without), seconds.
    stopping : Stopping, optional
    verbose : bool
        Show a progress bar with the time left and the ELBO (with the KL weight of the epoch, nats per cell).
    reports : sequence of callables
        Called with the new row after each epoch.

    Raises
    ------
    TrainingDiverged
        The loss is not finite; the network is left as it was after the last good epoch.
    """
    bar = _progress(epochs) if verbose else None
    for epoch in epochs if bar is None else bar:
        if stopping and stopping.done:
            break
        start = time.perf_counter()
        last_good = copy.deepcopy(step.network.state_dict())
        weight_z, weight_l = weights(epoch)
        losses = []
        for rows in step.cells.minibatches(sampling, batch_size, generator):
            loss = step.step(rows, weight_z, weight_l)
            losses.append(loss)
            if loss.device.type == "cpu" and not math.isfinite(loss):  # elsewhere looking at it would stall the device
                break
        losses = torch.stack(losses).cpu()
        if not losses.isfinite().all():
            step.network.load_state_dict(last_good)
            raise TrainingDiverged(_diagnosis(epoch, losses))
        row = {"epoch": epoch, "loss": losses.double().mean().item(), "kl_weight": weight_z}
        row["validation_loss"] = stopping.update(weight_z, weight_l) if stopping else math.nan
        row["seconds"] = time.perf_counter() - start
        history.append(row)
        if bar is not None:
            bar.set_postfix(elbo=f"{-row['loss']:.1f}")
        for report in reports:
            report(row)
    if stopping:
        stopping.finish()
    step.network.eval()


def _diagnosis(epoch, losses):
    first = int((~losses.isfinite()).nonzero()[0])
    cause = "the networks left the range of the numbers: lower lr or raise adam_eps"
    if epoch == 0 and first == 0:
        cause = "the first objective is already not finite: look for cells or genes with counts far outside the rest"
    return (
        f"Training diverged in epoch {epoch}, step {first} (loss {losses[first].item()}): {cause}. "
        "The model keeps the parameters it had before this epoch."
    )


def _progress(epochs):
    from tqdm.auto import tqdm

    return tqdm(epochs, desc="scVI", unit="epoch", initial=epochs.start, total=epochs.stop)
