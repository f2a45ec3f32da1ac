"""What a fitted model says of cells: latent positions, expectations and draws of the posterior, likelihoods."""

import numpy as np
import torch
from tqdm import tqdm

from .defaults import torch_defaults
from .elbo import bound_of_cells
from .engines.choose import make_answers
from .estimator import check_integer
from .given import Given
from .marginal import Joint, adapted_marginal, importance_weighted

MARGINAL_CELLS = 256  # at a time: many draws of the latent variables of each are held


class Inference(Given):
    """The questions a fitted `SCVI` answers.

    All take raw counts ``X`` (n_cells, n_genes) with the genes of `fit` and one batch label per cell among those of
    `fit`, or none where `fit` was given none, and raise `InvalidCounts` where they are not. The networks are in
    evaluation mode: no dropout, running batch statistics. An expectation under q is over ``n_samples`` draws of z; with
    ``point="sample"`` it is a single draw. Draws start from ``random_state`` at every call, so that a call can be
    repeated. Cells are looked at a few at a time; where ``out`` is given, an array of the shape of the answer (mapped
    from a file, say), it is written there.
    """

    @torch_defaults()
    def latent(self, X, batch=None, *, out=None):
        """Return the latent position of each cell, (n_cells, n_latent): mean of q(z | x, s), or one draw of it."""
        generator, cells = self._generator(), self._cells(X, batch)
        out = _empty((len(cells), self.network_.arch.n_latent), out)
        for rows, q, _, _ in self._answers(cells).encoded(library=False):
            z = draw(q.z_mean, q.z_logvar, generator) if self.point == "sample" else q.z_mean
            out[rows[0] : rows[-1] + 1] = z.cpu()
        return out

    def impute(self, X, batch=None, n_samples=25, *, out=None):
        """Return the expected counts before dropout, (n_cells, n_genes): the mean l rho of the negative binomial.

        Not multiplied by 1 - pi: a dropped entry is what imputation is to restore. q is mean-field, so that the
        expectation factorises: E[l] = exp(m + v / 2) is exact for a latent library size, and E[rho] is the average over
        the draws of z. With ``point="sample"`` it is one draw of both.
        """

        def expected(answers, size, codes, q, draws, generator):
            return answers.mean_rho([(z, codes, 1 / len(draws)) for z in draws]).mul_(self._scale(size, q, generator))

        return self._map(X, batch, n_samples, expected, out)

    def normalized(self, X, batch=None, decode_batch=None, n_samples=25, *, out=None):
        """Return the expected frequencies rho, (n_cells, n_genes); each row sums to one.

        Parameters
        ----------
        decode_batch : label or sequence of labels, optional
            The batches to decode in, averaged by their frequency among the training cells; ``"all"`` for all of them
            (where a batch is called so, pass a list). By default each cell's own.
        """
        self._check_fitted()
        targets = self._targets(decode_batch)

        def expected(answers, size, codes, q, draws, generator):
            weighted = [(codes, 1.0)] if targets is None else [(torch.full_like(codes, c), w) for c, w in targets]
            return answers.mean_rho([(z, s, w / len(draws)) for z in draws for s, w in weighted])

        return self._map(X, batch, n_samples, expected, out)

    def dropout_probability(self, X, batch=None, n_samples=25):
        """Return the expected probability pi that an entry is dropped, (n_cells, n_genes)."""

        def expected(answers, size, codes, q, draws, generator):
            probability = self.network_.likelihood.dropout_probability
            return sum(probability(self.network_.decode(z, codes)) for z in draws) / len(draws)

        return self._map(X, batch, n_samples, expected)

    def nb_zero_probability(self, X, batch=None, n_samples=25):
        """Return the expected probability of a zero before dropout, cell by gene.

        Of the negative binomial it is (theta / (theta + l rho))^theta.
        """

        def expected(answers, size, codes, q, draws, generator):
            total = 0.0
            for z in draws:
                log_scale = self._scale(size, q, generator, draw_l=True).log()
                total = total + self.network_.likelihood.zero_probability(self.network_.decode(z, codes), log_scale)
            return total / len(draws)

        return self._map(X, batch, n_samples, expected)

    @torch_defaults()
    def library_size(self, X, batch=None):
        """Return the scaling factor l of each cell, (n_cells,): its mean under q, one draw, or the observed size."""
        if self.network_.arch.library == "none":
            raise ValueError("The model was fitted without a library size: fit SCVI(library='latent') or 'observed'.")
        generator = self._generator()
        answers = self._answers(self._cells(X, batch))
        parts = [self._scale(size, q, generator).squeeze(1) for _, q, size, _ in answers.encoded()]
        return torch.cat(parts).cpu().numpy()

    def inverse_dispersion(self, X=None, batch=None, n_samples=25):
        """Return the inverse dispersion theta: (n_genes,), (n_batches, n_genes) or, of cells, (n_cells, n_genes)."""
        self._check_fitted()
        if not self.network_.likelihood.has_dispersion:
            raise ValueError(f"SCVI(likelihood={self.likelihood!r}) has no dispersion: fit SCVI(likelihood='nb').")
        if self.network_.arch.dispersion != "gene-cell":
            return self.network_.log_theta.detach().exp().cpu().numpy()
        if X is None:
            raise ValueError("The dispersion is one per gene and cell: pass the counts of the cells.")

        def expected(answers, size, codes, q, draws, generator):
            return sum(self.network_.decode(z, codes).log_theta.exp() for z in draws) / len(draws)

        return self._map(X, batch, n_samples, expected)

    def loadings(self):
        """Return the weights of the linear decoder, a pandas data frame (n_genes, n_latent).

        By how much the logarithm of a gene's rate rises with each latent dimension, in natural logarithms, before the
        softmax, which takes the same off all genes of a cell: only differences between genes move rho. The scale of
        batch normalisation is part of it; the batch has weights of its own, which are left out.
        """
        import pandas as pd

        self._check_fitted()
        arch = self.network_.arch
        if arch.decoder != "linear":
            raise ValueError(f"SCVI(decoder={arch.decoder!r}) has no loadings: fit SCVI(decoder='linear').")
        weights = self.network_.decoder.rate.weights()[:, : arch.n_latent].detach().cpu().numpy()
        names = pd.RangeIndex(len(weights)) if self.gene_names_ is None else self.gene_names_
        return pd.DataFrame(weights, index=pd.Index(names, name="gene"))

    @torch_defaults()
    def loglik(self, X, batch=None, n_samples=None, return_error=False):
        """Log-likelihood of each cell given its batch, nats, (n_cells,).

        Parameters
        ----------
        n_samples : int, optional
            None: the bound (equations 8 and 10) with full KL weight and one draw of q. Otherwise the
            importance-weighted bound from so many draws of q; `marginal_loglik` is the better estimate where q is not
            the posterior, and takes longer.
        return_error : bool
            Also return the standard error of each importance-weighted bound (at least two draws).
        """
        if n_samples is not None:
            check_integer("loglik", "n_samples", n_samples, 1)
        if return_error and (n_samples is None or n_samples < 2):
            raise ValueError("A standard error needs an importance-weighted estimate: pass n_samples of at least 2.")
        generator, cells = self._generator(), self._cells(X, batch)
        if n_samples is None:
            return bound_of_cells(self.network_, cells, generator).double().cpu().numpy()
        answers = self._answers(cells)
        parts = [importance_weighted(self._joint(answers, x, s), n_samples, generator) for _, x, s in cells.chunks()]
        estimate, error = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
        return (estimate, error) if return_error else estimate

    @torch_defaults()
    def marginal_loglik(self, X, batch=None, n_samples=1000, random_state=0):
        """Log-likelihood of each cell given its batch, z and l integrated out by importance sampling.

        Half of the draws are around q and half of a distribution that is fitted to the posterior of each cell, starting
        from q, which costs as much as 2,000 draws (`scvi_core.marginal.adapted`). Where q is far off, as of cells
        that the encoder was not trained on, `tune_encoder` first.

        Parameters
        ----------
        n_samples : int
            Draws for each cell, at least 2 and best an even number.

        Returns
        -------
        loglik, standard_error : arrays (n_cells,), nats
            Log of an unbiased estimate of p(x | s), and the error of that by the delta method. An error above about
            0.3 means that a few draws carry the weight: the estimate is then too low, and the error does not say by
            how much.
        """
        check_integer("marginal_loglik", "n_samples", n_samples, 2)  # a standard error needs two
        cells, rng = self._cells(X, batch), np.random.default_rng(random_state)
        answers, parts = self._answers(cells), []
        with tqdm(total=len(cells), desc="marginal log-likelihood", unit="cell", disable=not self.verbose) as bar:
            for _, x, s in cells.chunks(entries=MARGINAL_CELLS * cells.X.shape[1]):
                parts.append(adapted_marginal(self._joint(answers, x, s), n_samples, rng))
                bar.update(len(x))
        estimate, error = (np.concatenate(part) for part in zip(*parts, strict=True))
        return estimate, error

    @torch_defaults()
    def sample(self, X, n_samples=1, batch=None, dropout=True):
        """Draw counts from the posterior predictive distribution, (n_samples, n_cells, n_genes) int64.

        z and l come from q, then equations 3-7. ``dropout=False`` leaves out equations 6-7.
        """
        check_integer("sample", "n_samples", n_samples, 1)
        generator, rng = self._generator(), np.random.default_rng(self._seeds(1))
        cells = self._cells(X, batch)
        out = np.empty((n_samples, *cells.X.shape), dtype=np.int64)
        for rows, q, size, codes in self._answers(cells).encoded():
            for k in range(n_samples):
                z = draw(q.z_mean, q.z_logvar, generator)
                scale = self._scale(size, q, generator, draw_l=True)
                decoded = self.network_.decode(z, codes)
                out[k, rows.numpy()] = self.network_.likelihood.draw(decoded, scale, rng, dropout)
        return out

    @torch_defaults()
    def sample_prior(self, n_cells, batch=None, library_size=None, dropout=True):
        """Draw cells from the generative model (equations 1-7), (n_cells, n_genes) int64.

        Parameters
        ----------
        batch : array of labels (n_cells,), optional
            By default drawn with the batches' frequencies.
        library_size : array (n_cells,), optional
            l of each cell. By default drawn from the log-normal fitted to the training cells of the batch, which is the
            model's prior where the library size is latent.
        """
        check_integer("sample_prior", "n_cells", n_cells, 1)
        generator, rng = self._generator(), np.random.default_rng(self._seeds(1))
        if batch is None:
            codes = torch.from_numpy(rng.choice(len(self.batch_frequency_), size=n_cells, p=self.batch_frequency_))
        else:
            codes = torch.from_numpy(self._codes(batch, n_cells))
        codes = codes.to(self.device_)
        network = self.network_
        z = torch.randn(n_cells, network.arch.n_latent, generator=generator, device=self.device_)
        if network.arch.library == "none":
            scale = torch.ones(n_cells, 1, device=self.device_)
        elif library_size is not None:
            sizes = np.asarray(library_size, dtype=np.float64)
            if sizes.shape != (n_cells,) or not (np.isfinite(sizes) & (sizes > 0)).all():
                raise ValueError(f"library_size will not do: pass one positive number for each of the {n_cells} cells.")
            scale = torch.as_tensor(sizes, dtype=torch.float32, device=self.device_)[:, None]
        else:
            scale = draw(network.library_mean[codes, None], network.library_var[codes, None].log(), generator).exp()
        return network.likelihood.draw(network.decode(z, codes), scale, rng, dropout)

    @torch_defaults()
    def _map(self, X, batch, n_samples, function, out=None):
        """Stack ``function(answers, number of counts, codes, q, draws of z, generator)`` over chunks of the cells."""
        check_integer("scVI", "n_samples", n_samples, 1)
        generator, cells = self._generator(), self._cells(X, batch)
        out = _empty(cells.X.shape, out)
        answers = self._answers(cells)
        for rows, q, size, codes in answers.encoded():
            n = 1 if self.point == "sample" else n_samples
            draws = [draw(q.z_mean, q.z_logvar, generator) for _ in range(n)]
            out[rows[0] : rows[-1] + 1] = function(answers, size, codes, q, draws, generator).cpu()
        return out

    def _answers(self, cells):
        """What the networks say of the cells, as ``engine`` has it computed (`scvi_core.engines.choose`)."""
        return make_answers(self.engine, self.network_, cells)

    def _joint(self, answers, x, batch):
        return Joint(self.network_, x, batch, answers.likelihood(x, batch))

    def _scale(self, size, q, generator, draw_l=False):
        """l of each cell, (cells, 1): expected or, with ``draw_l`` or ``point="sample"``, drawn where it is latent."""
        log_l = None
        if q.l_mean is not None:
            random = draw_l or self.point == "sample"
            log_l = draw(q.l_mean, q.l_logvar, generator) if random else q.l_mean + 0.5 * q.l_logvar.exp()
        return self.network_.scale(size, log_l).exp()

    def _seeds(self, n):
        return [int(s) for s in np.random.SeedSequence(self.random_state).generate_state(n)]

    def _generator(self):
        self._check_fitted()
        return torch.Generator(self.device_).manual_seed(self._seeds(1)[0])


def _empty(shape, out):
    """``out``, a new array of single precision where it is None."""
    if out is None:
        return np.empty(shape, dtype=np.float32)
    if out.shape != shape:
        raise ValueError(f"The array out has shape {out.shape}: the answer has {shape}.")
    return out


def draw(mean, logvar, generator):
    """Draw from N(mean, exp(logvar))."""
    eps = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + (0.5 * logvar).exp() * eps
