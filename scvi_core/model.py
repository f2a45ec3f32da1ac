"""scVI (Lopez et al. 2018) as one scikit-learn style estimator on raw counts."""

import copy

import numpy as np
import torch

from .answers import Inference
from .convergence import convergence, warn
from .data.counts import InvalidCounts, check_batch, check_counts, check_names
from .data.minibatch import Cells
from .defaults import torch_defaults
from .differential import Differential
from .elbo import bound_of_cells
from .engines.choose import make_step
from .engines.distributed import Processes
from .engines.plain import PlainStep, StepOptions
from .estimator import Estimator, check_choice, is_number
from .files.checkpoint import Checkpoint, Log, take_up, to_resume
from .files.storage import Storage
from .networks import Architecture, Network, initialise
from .parameters import checked, device_of
from .training import Stopping, train, warmup


class SCVI(Inference, Differential, Storage, Estimator):
    """scVI: a variational autoencoder with a zero-inflated negative binomial likelihood for single-cell counts.

    The defaults are the model as the paper writes it (sections 2.1, 4.1, 4.2). Where the text is silent the value is
    the one of the authors' code (batch normalisation) or of the work the text cites (length of the warm-up).

    Parameters
    ----------
    n_latent : int
        Dimensions d of z.
    n_hidden, n_layers : int
        Width of the hidden layers and their number in the encoder of z and in the decoder. The encoder of the library
        size always has one.
    dropout : float
        Dropout rate of the encoders, and between the hidden layers of the decoder.
    likelihood : {"zinb", "nb", "poisson"}
        A name in `scvi_core.likelihood.LIKELIHOODS`.
    dispersion : {"gene", "gene-batch", "gene-cell"}
        What has a theta of its own: a gene, a gene in a batch, or a gene in a cell (a head of the decoder). A
        likelihood without theta takes the default alone.
    library : {"latent", "observed", "none"}
        The scaling factor l: a latent log-normal variable, the cell's number of counts, or left out (the rate is then
        exp of the decoder's output, without a softmax).
    library_prior : {"per_batch", "pooled", "batch_means"}
        Mean and variance of log l: those of the log library sizes of the training cells of each batch (the paper's
        text), of all of them, or, for all of them, the means of those of the batches, whatever ``use_batch`` says. A
        variance below 1e-4 is raised to it. `fit(library_from=)` takes the sizes of other cells.
    library_encoder : {"free", "prior", "offset"}
        How the network gives the mean of q(log l | x, s). "free": its output, which starts near zero, as in the
        authors' code. "prior": the same network with the bias of that output starting at the prior's mean; from zero
        the level of log l is built up out of hidden units, whose differences between cells then blur l for thousands
        of steps. "offset": the output plus the logarithm of the observed library size. The paper has the first only.
    decoder : {"network", "linear"}
        What gives rho (and pi) from z and s: the paper's network, or a linear map of each gene with batch normalisation
        behind it, then the softmax (LDVAE; Svensson et al., Bioinformatics 36:3418, 2020). Batch normalisation is that
        of the authors' program: it takes the scale of a gene out of the steps, and a trained decoder is linear all the
        same, with weights `loadings`. ``n_hidden``, ``n_layers`` and ``dropout`` are then those of the encoders alone.
    use_batch : bool
        False: batch labels are checked and then ignored everywhere, as if all cells came from one batch.
    encode_batch : bool
        Give the batch to the encoders, as in the text's q(z | x, s).
    log_input : bool
        The encoders read log(1 + x) instead of x.
    init : {"torch", "authors"}
        Initial weights: PyTorch's rule, or a normal of SD 0.01 truncated at 2 SD with zero bias. log theta starts at
        N(0, 1) in either.
    batch_norm_momentum, batch_norm_eps : float
        Momentum in PyTorch's convention, the weight of the new minibatch (0.01 is 0.99 in TensorFlow's).
    dropout_on : {"hidden", "input"}
        Dropout behind each hidden layer, or in front of it (then on the genes as well, as in the authors' code).
    n_epochs, batch_size : int
    lr, adam_eps : float
        Step size and epsilon of Adam.
    framework : {"torch", "tensorflow"}
        Whose form two things have that the frameworks compute differently: the epsilon of Adam, beside the root of the
        second moment after its correction for the start at zero or before it (an epsilon of 0.01 is then one of 0.3 at
        the first step, of 0.03 at the hundredth), and the running variance of batch normalisation, with n - 1 or n.
        "tensorflow" is version 1, as in the authors' code.
    sampling : {"shuffle", "blocks", "replacement", "slices"}
        An epoch is a pass over the cells in random order; one in the order of
        `scvi_core.data.minibatch.in_blocks`, which reads counts on disk a block at a time; or, as in the authors' code,
        floor(n / batch_size) - 1 minibatches, drawn with replacement or cut off one after the other from the first
        cell, the same in every epoch.
    kl_warmup_epochs : int, optional
        The weight of the KL rises linearly from zero and reaches one after this many epochs; 0 for no warm-up,
        ``math.inf`` for weight zero throughout. By default four fifths of ``n_epochs``: 200 of 250, the length used by
        the reference the paper cites for it.
    kl_warmup_of : {"all", "z"}
        Whether the weight applies to both KLs or to that of z alone (as in the authors' code).
    kl_schedule : callable, optional
        Epoch (from zero) -> weight; replaces the linear warm-up.
    mmd_weight : float
        Weight of the maximum mean discrepancy between batches in latent space, added to the mean loss per cell; the
        paper leaves it at zero.
    mmd_kernel : {"fourier", "rbf"}
        A Gaussian kernel by random Fourier features, or a mixture of Gaussian kernels.
    early_stopping : {None, "authors", "patience"}
        See `scvi_core.training.Stopping`. The validation cells are those given to `fit`, or a random
        ``validation_size`` of the training cells, which are then not trained on.
    patience : int
    validation_size : float
    point : {"mean", "sample"}
        What `latent` and `impute` report: an expectation under q, or one draw from it (as the authors' code does).
    compare_mode : {"vanilla", "change"}
        What `compare` asks of a gene where it is not told: the paper's question, or one with a threshold.
    engine : str
        What computes a training step and the answers (`scvi_core.engines.choose`): "plain", "fused" on a CPU, "cuda" on
        a GPU (training alone), or "auto" for the fastest that serves the options; "distributed" trains by several
        processes (`scvi_core.engines.distributed`). The fitted ``engine_`` names what has trained it.
    device : str
        "auto" is a GPU where there is one.
    warm_start : bool
        `fit` goes on from the last fit, from the epoch it had reached up to ``n_epochs``.
    random_state : int or None
    verbose : bool
        Show a progress bar with the time left and the ELBO (with the KL weight of the epoch, nats per cell).

    Attributes
    ----------
    network_ : Network
        The trained networks (PyTorch).
    history_ : pandas.DataFrame
        One row per epoch: epoch, loss, kl_weight, validation_loss, seconds.
    batches_ : array or None
        Batch labels seen in `fit`, sorted; None where there were none or they are ignored. ``batch_frequency_`` has the
        share of the cells in each.
    convergence_ : scvi_core.convergence.Convergence or None
        Whether the last fit has come to where the bound settles, and how many epochs would do; None before it ended.
    gene_names_ : list of str or None
    n_features_in_ : int
    engine_, device_ : str

    Examples
    --------
    >>> import numpy as np
    >>> from scvi_core import SCVI
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(60, 12))
    >>> donors = np.repeat(["a", "b", "c"], 20)
    >>> model = SCVI(n_latent=2, n_epochs=5).fit(counts, batch=donors)
    >>> model.latent(counts, batch=donors).shape  # one row per cell
    (60, 2)
    >>> model.impute(counts, batch=donors).shape
    (60, 12)
    >>> model.loglik(counts, batch=donors).shape  # nats, a bound
    (60,)
    >>> list(model.batches_) == ["a", "b", "c"]
    True
    >>> model.kl_weight(0), model.kl_weight(4)  # the warm-up of five epochs
    (0.0, 1.0)
    """

    def __init__(
        self,
        n_latent=10,
        n_hidden=128,
        n_layers=1,
        dropout=0.1,
        likelihood="zinb",
        dispersion="gene",
        library="latent",
        library_prior="per_batch",
        library_encoder="free",
        decoder="network",
        use_batch=True,
        encode_batch=True,
        log_input=True,
        init="torch",
        batch_norm_momentum=0.01,
        batch_norm_eps=1e-3,
        dropout_on="hidden",
        n_epochs=250,
        batch_size=128,
        lr=4e-4,
        adam_eps=0.01,
        framework="torch",
        sampling="shuffle",
        kl_warmup_epochs=None,
        kl_warmup_of="all",
        kl_schedule=None,
        mmd_weight=0.0,
        mmd_kernel="fourier",
        early_stopping=None,
        patience=12,
        validation_size=0.1,
        point="mean",
        compare_mode="vanilla",
        engine="auto",
        device="auto",
        warm_start=False,
        random_state=0,
        verbose=False,
    ):
        self.n_latent = n_latent
        self.n_hidden = n_hidden
        self.n_layers = n_layers
        self.dropout = dropout
        self.likelihood = likelihood
        self.dispersion = dispersion
        self.library = library
        self.library_prior = library_prior
        self.library_encoder = library_encoder
        self.decoder = decoder
        self.use_batch = use_batch
        self.encode_batch = encode_batch
        self.log_input = log_input
        self.init = init
        self.batch_norm_momentum = batch_norm_momentum
        self.batch_norm_eps = batch_norm_eps
        self.dropout_on = dropout_on
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.adam_eps = adam_eps
        self.framework = framework
        self.sampling = sampling
        self.kl_warmup_epochs = kl_warmup_epochs
        self.kl_warmup_of = kl_warmup_of
        self.kl_schedule = kl_schedule
        self.mmd_weight = mmd_weight
        self.mmd_kernel = mmd_kernel
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_size = validation_size
        self.point = point
        self.compare_mode = compare_mode
        self.engine = engine
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def check_parameters(self):
        """Raise ValueError, one sentence, where a parameter will not do; `fit` asks it first."""
        checked(self.get_params())

    @torch_defaults(gradients=True)
    def fit(
        self,
        X,
        batch=None,
        *,
        gene_names=None,
        library_from=None,
        validation=None,
        checkpoint=None,
        checkpoint_every=60.0,
        resume=False,
        log=None,
    ):
        """Fit to raw counts.

        Parameters
        ----------
        X : array, sparse matrix or StoredCounts, shape (n_cells, n_genes)
            Raw counts, at least two cells, none of them empty.
        batch : array of labels, shape (n_cells,), optional
        gene_names : sequence of str, optional
        library_from : tuple (X, batch), optional
            Cells whose library sizes make the prior of log l, those trained on by default: the same cells before some
            of their counts were hidden, say. ``batch`` may be None.
        validation : tuple (X, batch), optional
            Cells for early stopping; ``batch`` is None where the training cells have no batches either.
        checkpoint : path, optional
            Save the model here while it is trained, at the end of an epoch, and when it is done. `load` reads it. A
            file that is there already is not replaced: ``resume`` goes on from it.
        checkpoint_every : float
            Seconds between two checkpoints, at least.
        resume : bool
            Go on from ``checkpoint`` where it is there, and end as if nothing had come between: on a CPU, with the same
            number of threads, to the bit.
        log : path, optional
            Append one JSON object per epoch to this file.

        Returns
        -------
        self

        Raises
        ------
        InvalidCounts
            ``X``, ``batch`` or the names are not what they should be.
        ValueError
            A parameter will not do, or the checkpoint is of other parameters or data, or damaged.
        OSError
            The checkpoint or the log cannot be written; the checkpoint before it is whole. FileExistsError: it is
            there already, and ``resume`` is not set.
        TrainingDiverged
            The objective became infinite or nan.

        Warns
        -----
        scvi_core.convergence.NotConverged
            The bound is still clearly on its way; says how many epochs would do (``convergence_``).
        """
        self.set_params(**checked(self.get_params()))
        if not (is_number(checkpoint_every) and checkpoint_every >= 0):
            raise ValueError(f"fit(checkpoint_every={checkpoint_every!r}) will not do: pass seconds, from 0.")
        processes = Processes(self.engine == "distributed")
        device = device_of(self.device)
        saved = processes.from_first(lambda: to_resume(checkpoint, resume))
        X = check_counts(X, genes=gene_names)
        if library_from is None and self.library_prior == "batch_means":
            library_from = X, batch
        if X.shape[0] < 2:
            raise InvalidCounts("There is one cell: batch normalisation needs at least two to train on.")
        warm = self.warm_start and hasattr(self, "network_")
        if warm:
            self._check_genes(X)
        else:
            self._start(X, batch, gene_names, device)
        self.convergence_ = None
        codes = self._codes(batch, X.shape[0])
        X, codes, validation = self._hold_out(X, codes, validation)
        cells = Cells(X, codes, self.device_)
        if not warm:
            self._set_library_prior(cells, library_from)
        options = StepOptions(self.lr, self.adam_eps, self.mmd_weight, self.mmd_kernel)
        step = make_step(self.engine, self.network_, cells, self._noise_generator, options)
        if warm:
            step.restore(self._optimiser_state)
        self.engine_ = step.name
        stopping = None
        if self.early_stopping is not None:
            loss = processes.value_of_first(self._loss_of(self.network_, validation))
            stopping = Stopping(self.early_stopping, self.patience, self.network_, loss)

        def keep_states():
            self._optimiser_state = step.state()
            self._stopping_state = stopping.state() if stopping else None

        if saved is not None:
            take_up(self, step, stopping, saved, checkpoint)
        reports = []
        if processes.first:
            reports += [Log(log)] if log is not None else []
            reports += [Checkpoint(self, keep_states, checkpoint, checkpoint_every)] if checkpoint is not None else []
        try:
            train(
                step,
                range(len(self._history), self.n_epochs),
                sampling=self.sampling,
                batch_size=self.batch_size,
                generator=self._order_generator,
                weights=self._kl_weights,
                history=self._history,
                stopping=stopping,
                verbose=self.verbose and processes.first,
                reports=reports,
            )
        finally:
            keep_states()
            step.release()
            self.network_.eval()
        self.convergence_ = convergence(self, cells)
        if checkpoint is not None and processes.first:
            self.save(checkpoint)
        if processes.first:
            warn(self.convergence_)
        return self

    @torch_defaults(gradients=True)
    def tune_encoder(self, X, batch=None, *, n_epochs=100, lr=1e-3, adam_eps=0.1, rule="best"):
        """Optimise the encoders on other cells with the generative part as it is (paper, Appendix F).

        Returns a copy in which decoder, dispersion and prior are the same to the bit; this model is not changed. With
        ``rule="best"`` its encoders are those of the epoch with the best bound on ``X``, the present ones among them.
        With ``rule="authors"`` they are the last ones, and meanwhile the decoder normalised by the mean and variance
        of the minibatch, as in training and in the authors' code. Step size and epsilon are those of the latter.
        """
        check_choice("tune_encoder", "rule", rule, ("best", "authors"))
        tuned, cells = copy.deepcopy(self), self._cells(X, batch)
        network = tuned.network_
        order, noise = self._seeds(2)
        parts = [part for part in (network.encoder_z, network.encoder_l) if part is not None]
        generator = torch.Generator(self.device_).manual_seed(noise)
        options, best = StepOptions(lr, adam_eps), None
        step = PlainStep(network, cells, generator, options, parts=parts, rest_in_training=rule == "authors")
        if rule == "best":
            best = Stopping("patience", n_epochs + 1, network, self._loss_of(network, cells))
            best.update(1.0, 1.0)
        train(
            step,
            range(n_epochs),
            sampling=self.sampling,
            batch_size=self.batch_size,
            generator=torch.Generator().manual_seed(order),
            weights=lambda epoch: (1.0, 1.0),
            history=[],
            stopping=best,
            verbose=self.verbose,
        )
        step.release()
        return tuned

    @property
    def history_(self):
        """The training history as a pandas data frame, one row per epoch."""
        import pandas as pd

        self._check_fitted()
        return pd.DataFrame(self._history)

    def _start(self, X, batch, gene_names, device):
        """Everything a fit from scratch begins with: batches, networks with initial weights, generators."""
        n_cells, n_genes = X.shape
        labels = check_batch(batch, n_cells)
        gene_names = check_names(gene_names, n_genes, "gene")
        self.batches_, counts = None, np.array([n_cells])
        if batch is not None and self.use_batch:
            self.batches_, counts = np.unique(labels, return_counts=True)
        self.batch_frequency_ = counts / n_cells
        self.gene_names_, self.n_features_in_, self.device_ = gene_names, n_genes, device
        own = {name: getattr(self, name) for name in Architecture.__dataclass_fields__ if hasattr(self, name)}
        arch = Architecture(n_genes=n_genes, n_batches=len(counts), **own)
        start, order, noise = self._seeds(3)
        self._order_generator = torch.Generator().manual_seed(order)
        self._noise_generator = torch.Generator(self.device_).manual_seed(noise)
        self.network_ = Network(arch)
        initialise(self.network_, self.init, torch.Generator().manual_seed(start))
        self.network_.to(self.device_)
        self._history = []

    def _set_library_prior(self, cells, library_from):
        codes = cells.batch.cpu()
        if library_from is not None:
            X = check_counts(library_from[0])
            if X.shape[1] != self.n_features_in_:
                known = f"the cells trained on have {self.n_features_in_}"
                raise InvalidCounts(f"fit(library_from=) has {X.shape[1]} genes and {known}: pass the same genes.")
            if self.library_prior == "batch_means":
                codes = np.unique(check_batch(library_from[1], X.shape[0]), return_inverse=True)[1]
            else:
                codes = self._codes(library_from[1], X.shape[0])
            codes = torch.from_numpy(codes)
            cells = Cells(X, codes)
        log_size = torch.from_numpy(np.log(cells.sizes()))
        groups = [log_size] if self.library_prior == "pooled" else [log_size[codes == c] for c in codes.unique()]
        moments = torch.stack([torch.stack([own.mean(), own.var(correction=0)]) for own in groups])
        if self.library_prior == "batch_means":
            moments = moments.mean(dim=0, keepdim=True)
        elif self.library_prior == "per_batch" and len(moments) < len(self.batch_frequency_):
            raise InvalidCounts("The prior of log l lacks cells of a batch: have some of each, or pool them.")
        self.network_.library_mean[:] = moments[:, 0]
        self.network_.library_var[:] = moments[:, 1].clamp(min=1e-4)
        if self.library_encoder == "prior" and self.library == "latent":
            torch.nn.init.constant_(self.network_.encoder_l.mean.bias, log_size.mean().item())

    def kl_weight(self, epoch):
        """Return the weight of the KL, or of that of z alone (``kl_warmup_of``), in an epoch counted from zero."""
        if self.kl_schedule is None:
            return warmup(0.8 * self.n_epochs if self.kl_warmup_epochs is None else self.kl_warmup_epochs)(epoch)
        weight = self.kl_schedule(epoch)
        if not is_number(weight):
            raise ValueError(f"kl_schedule({epoch}) is {weight!r}: it has to be a number, the weight of the KL.")
        return float(weight)

    def _kl_weights(self, epoch):
        weight = self.kl_weight(epoch)
        return weight, weight if self.kl_warmup_of == "all" else 1.0

    def _hold_out(self, X, codes, validation):
        """Training counts and codes, and validation `Cells` where early stopping asks for them."""
        if self.early_stopping is None:
            return X, codes, None
        if validation is not None:
            if not (isinstance(validation, (tuple, list)) and len(validation) == 2):
                raise ValueError("fit(validation=) is not a pair: pass (counts, batch labels or None).")
            return X, codes, self._cells(*validation)
        n_cells = len(codes)
        n = max(1, round(self.validation_size * n_cells))
        seed = self._seeds(4)[3]  # not the generator of the order: a resumed fit holds out the same cells
        rows = torch.randperm(n_cells, generator=torch.Generator().manual_seed(seed)).numpy()
        # the last cell of each batch stays: without a cell to train on, a batch has no prior of its library size
        stays = n_cells - 1 - np.unique(codes[rows][::-1], return_index=True)[1]
        held_out = np.sort(np.delete(rows, stays)[:n])  # in order: read front to back where they are on disk
        kept = np.setdiff1d(rows, held_out)
        if len(held_out) < n or len(kept) < 2:
            raise InvalidCounts(
                f"Early stopping would hold out {n} of {n_cells} cells, and training needs two and one of each batch: "
                "lower validation_size, pass validation=, or set early_stopping=None."
            )
        return X[kept], codes[kept], Cells(X[held_out], codes[held_out], self.device_)

    def _loss_of(self, network, cells):
        """Mean loss of cells in evaluation mode, with the same draws at every call so that epochs compare."""
        seed = self._seeds(1)[0]

        def loss(weight_z, weight_l):
            generator = torch.Generator(self.device_).manual_seed(seed)
            return -bound_of_cells(network, cells, generator, weight_z, weight_l).double().mean().item()

        return loss
