"""DCA: the deep count autoencoder (Eraslan et al. 2019)."""

from itertools import pairwise

import numpy as np
import torch
from tqdm import tqdm

from scvi_core.likelihood import zinb_log_prob
from scvi_core.training import TrainingDiverged

from ..base import Method
from .engines import choose
from .network import Autoencoder

BLOCK = 1024  # cells decoded at once


class DCA(Method):
    """Autoencoder of counts with a zero-inflated negative binomial output.

    Counts are divided by the size factor s (library size over the median of the training cells), taken to log(1 + x)
    and z-scored by gene. Dense layers with batch normalisation and ReLU lead through the bottleneck to three heads per
    gene: x ~ ZINB(mean = s exp(.), inverse dispersion = softplus(.), dropout probability = sigmoid(.)). The objective
    is the likelihood alone, with no prior on the bottleneck. Batch labels are not used.

    Parameters
    ----------
    n_hidden : tuple of int
        Width of the hidden layers; the middle one is the bottleneck. The paper compares (64, 32, 64), DCA's default.
    n_epochs : int
        At most. All values from here on are the defaults of the authors' program.
    batch_size : int
    lr : float
        Of RMSprop; divided by ten after ``patience_lr`` epochs without progress on the validation cells.
    patience_lr, patience : int
        Epochs without progress before the step shrinks, and before training ends.
    clip : float
        Largest absolute value of an entry of the gradient.
    validation_share : float
        Share of the cells that are set aside to watch progress.
    device : str
        "cpu", "cuda" or "auto".
    random_state : int
    verbose : bool
        Show a progress bar over the epochs, with the validation loss.

    Attributes
    ----------
    network_ : Autoencoder
    engine_ : str
        What computed the derivatives: "fused", the kernels of `scvi_core`, or "plain", PyTorch, where there is no C
        compiler or the device is not the CPU. Their paths part by rounding, as they do after a change of PyTorch.
    history_ : list of dict
        Per epoch ``loss`` and ``validation_loss``: minus the log-likelihood per entry, nats.

    Notes
    -----
    Differences from the authors' program: the validation cells are drawn at random (there: the last of the file, which
    may be of one kind); a last minibatch of one cell joins the one before it; other cells than those of the fit are
    described with the median, means and deviations of the fit.

    Cost
    ----
    n^0.9 per epoch, G^0.3 up to 560 genes (3,005 × 558: 9 to 11 s of one core for 112 epochs, 79 s by PyTorch)

    References
    ----------
    Eraslan, Simon, Mircea, Mueller and Theis, Nature Communications 10:390 (2019); theislab/dca, type "zinb-conddisp".

    Examples
    --------
    >>> from baselines.dca import DCA
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> dca = DCA(n_hidden=(8, 2, 8), n_epochs=2).fit(counts)
    >>> dca.latent(counts).shape, dca.impute(counts).shape
    ((40, 2), (40, 12))
    """

    def __init__(
        self,
        n_hidden=(64, 32, 64),
        n_epochs=300,
        batch_size=32,
        lr=1e-3,
        patience_lr=10,
        patience=15,
        clip=5.0,
        validation_share=0.1,
        device="cpu",
        random_state=0,
        verbose=False,
    ):
        self.n_hidden = n_hidden
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.patience_lr = patience_lr
        self.patience = patience
        self.clip = clip
        self.validation_share = validation_share
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, batch=None):
        """Train on counts ``X`` (n_cells, n_genes); ``batch`` is not used.

        Raises
        ------
        ValueError
            There are fewer than three cells, or a parameter is out of range.
        TrainingDiverged
            The loss is no longer finite.
        """
        n = X.shape[0]
        if n < 3 or self.batch_size < 2:
            raise ValueError(
                f"DCA trains on at least 2 cells and watches another: got {n} cells and batch_size={self.batch_size}."
            )
        self.device_ = (
            "cuda" if self.device == "auto" and torch.cuda.is_available() else self.device.replace("auto", "cpu")
        )
        generator = torch.Generator().manual_seed(self.random_state)
        library = np.asarray(X.sum(axis=1)).ravel()
        self.median_library_ = float(np.median(library))
        Y = self._log_normalise(X)
        self.mean_ = np.asarray(Y.mean(axis=0)).ravel()
        variance = np.asarray(Y.multiply(Y).mean(axis=0)).ravel() - self.mean_**2
        sd = np.sqrt(np.maximum(variance, 0) * n / (n - 1))
        self.sd_ = np.where(sd > 1e-6, sd, 1.0)  # a gene that never varies is only centred

        self.network_ = Autoencoder(X.shape[1], self.n_hidden, generator).to(self.device_)
        order = torch.randperm(n, generator=generator).numpy()
        n_validation = min(max(1, round(self.validation_share * n)), n - 2)
        validation, training = order[:n_validation], order[n_validation:]
        engine = choose(self, X, Y)
        self.engine_ = engine.name
        try:
            self._train(engine, training, validation, generator)
        finally:
            engine.release()
        self.network_.eval()
        return self

    def latent(self, X, batch=None):
        """Return the bottleneck before its activation, (n_cells, n_hidden[middle])."""
        return self._collect(X, lambda inputs, log_size, x: self.network_.encode(inputs))

    def impute(self, X, batch=None):
        """Return the mean s exp(.) of the negative binomial, (n_cells, n_genes), on the count scale of ``X``."""
        return self._collect(X, lambda inputs, log_size, x: self.network_(inputs, log_size)[0].exp())

    def loglik(self, X, batch=None):
        """Return log p(x | reconstruction of x), (n_cells,) nats.

        This conditions on what the network made of the cell itself. It is neither a marginal likelihood nor a bound.
        """
        return self._collect(X, lambda inputs, log_size, x: zinb_log_prob(x, *self.network_(inputs, log_size)).sum(1))

    def _train(self, engine, training, validation, generator):
        optimiser = torch.optim.RMSprop(engine.parameters, lr=self.lr, alpha=0.9, eps=1e-7)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser,
            factor=0.1,
            patience=self.patience_lr - 1,  # Keras shrinks the step in the epoch that torch still lets pass
            threshold=1e-4,
            threshold_mode="abs",
        )
        best, waited, self.history_ = np.inf, 0, []
        bar = tqdm(range(self.n_epochs), disable=not self.verbose, desc="DCA")
        for _ in bar:
            self.network_.train()
            loss = self._epoch(engine, generator, training, optimiser)
            self.network_.eval()
            validation_loss = self._loss(engine, validation)
            if not np.isfinite(loss + validation_loss):
                raise TrainingDiverged(f"The loss of DCA is no longer finite: try a learning rate below lr={self.lr}.")
            self.history_.append({"loss": loss, "validation_loss": validation_loss})
            bar.set_postfix(validation=f"{validation_loss:.4f}", refresh=False)
            schedule.step(validation_loss)
            best, waited = (validation_loss, 0) if validation_loss < best else (best, waited + 1)
            if waited >= self.patience:
                break
        bar.close()

    def _epoch(self, engine, generator, training, optimiser):
        """Take one pass over the cells ``training`` and return the mean loss per entry."""
        rows = torch.from_numpy(training)[torch.randperm(len(training), generator=generator)]
        bounds = [*range(0, len(rows), self.batch_size), len(rows)]
        if bounds[-1] - bounds[-2] == 1 and len(bounds) > 2:
            del bounds[-2]  # batch normalisation needs two cells
        total = 0.0
        for start, stop in pairwise(bounds):
            loss = engine.loss_and_gradient(rows[start:stop])
            engine.move(optimiser, self.clip)
            total += loss * (stop - start)
        return float(total) / len(rows)

    def _loss(self, engine, rows):
        """The mean loss per entry of the cells ``rows``, without a step."""
        blocks = torch.from_numpy(rows).split(BLOCK)
        return sum(engine.loss(block) * len(block) for block in blocks) / len(rows)

    @torch.no_grad()
    def _collect(self, X, function):
        Y = self._log_normalise(X)
        blocks = [slice(start, start + BLOCK) for start in range(0, X.shape[0], BLOCK)]
        return np.concatenate([function(*self._tensors(X[b], Y[b])).cpu().numpy() for b in blocks]).astype(np.float64)

    def _log_normalise(self, X):
        """Return log(1 + x / s), sparse."""
        Y = X.astype(np.float64)
        Y.data /= np.repeat(np.asarray(X.sum(axis=1)).ravel() / self.median_library_, np.diff(X.indptr))
        Y.data = np.log1p(Y.data)
        return Y

    def _tensors(self, X, Y):
        """Return z-scored inputs, log size factors (n, 1) and counts of some cells, dense."""
        size = np.asarray(X.sum(axis=1)) / self.median_library_
        arrays = (Y.toarray() - self.mean_) / self.sd_, np.log(size).reshape(-1, 1), X.toarray()
        return tuple(torch.from_numpy(a.astype(np.float32)).to(self.device_) for a in arrays)
