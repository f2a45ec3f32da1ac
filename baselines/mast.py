"""MAST: a hurdle model for differential expression (Finak et al. 2015)."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaln, digamma, expit
from scipy.stats import chi2

from .base import Method
from .shared.groups import compared_cells

INTERCEPT_SD, SLOPE_SD = 10.0, 2.5  # the weakly informative prior of Gelman et al. (2008)
MAX_ITERATIONS, TOLERANCE = 25, 1e-8  # of the logistic fit, as in R's glm.control


class MAST(Method):
    """Hurdle model of log2(1 + counts), tested gene by gene between two groups of cells.

    With E = log2(1 + x), the *discrete* part is a logistic regression of 1{E > 0} on the design over all cells, with a
    fixed Gaussian prior on the coefficients; the *continuous* part is a linear regression of E on the design over the
    cells with E > 0, its variance shrunk towards a Gamma prior on the precision that is fitted over all genes. The
    parts are independent, so their likelihood ratio statistics for the group coefficient add up. There is no size
    factor by default, because the paper calls MAST on log counts (section 4.6).

    Two traits of the original are kept, because they are what was compared: the discrete likelihood ratio leaves out
    the prior and so can fall slightly below zero, and the continuous one weighs the shrunken variances by the number
    of positive cells alone, which makes the test conservative where genes share one variance (many prior degrees of
    freedom): at a true null with equal variances 1.6% of the p-values fall below 0.05.

    Parameters
    ----------
    normalise : bool
        Divide the counts by the library size (relative to its median over the compared cells) before the logarithm.
    prior : bool
        Put the Gaussian prior on the coefficients of the discrete part (``method="bayesglm"`` of the R package);
        without it the fit is plain logistic regression, and a gene that separates the groups has no discrete test.
    shrink : bool
        Shrink the variances of the continuous part (``ebayes`` of the R package).

    Notes
    -----
    Fitted from sums over the cells of a group, equal to the package to 1e-8. A likelihood ratio that R leaves undefined
    (all values equal, or one group alone) counts 0; the score is finite where the p-value underflows.

    Cost
    ----
    n^0.9 G^1.2 (1000 × 1000: 0.02 s)

    References
    ----------
    Finak et al., Genome Biology 16:278 (2015), Methods; the numbers are those of the R package MAST 1.27.1.

    Examples
    --------
    >>> from baselines.mast import MAST
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> counts[:20, 0] += 20  # the first gene differs
    >>> first = np.arange(40) < 20
    >>> table = MAST().fit(counts).compare(counts, first, ~first)
    >>> int(table["score"].argmax()), bool(table["log_fold_change"].iloc[0] > 0)
    (0, True)
    """

    def __init__(self, normalise=False, prior=True, shrink=True):
        self.normalise = normalise
        self.prior = prior
        self.shrink = shrink

    def fit(self, X, batch=None):
        """Check the counts (n_cells, n_genes): the model is fitted by ``compare``, to the cells of the two groups."""
        return self

    def compare(self, X, group_a, group_b, batch=None):
        """Test every gene for a difference between two groups of cells.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_cells, n_genes)
            Raw counts.
        group_a, group_b : boolean arrays, shape (n_cells,)
            The groups; cells in neither are not used.
        batch : sequence, shape (n_cells,), optional
            Labels that enter the design as a fixed effect where the compared cells carry more than one. The paper
            passes none.

        Returns
        -------
        pandas.DataFrame, one row per gene
            ``score`` (-log of the p-value), ``log_fold_change`` (difference a - b of the modelled mean of E, in log2
            units and in the first batch; NaN where the positive cells do not identify it), ``pvalue``, the two
            likelihood ratios ``lr_continuous`` and ``lr_discrete`` and the degrees of freedom ``df`` of their sum. A
            part that cannot be tested adds nothing to either; a gene without any counts has the p-value 1.

        Raises
        ------
        ValueError
            The masks do not fit, or the batches determine the group.
        """
        cells = compared_cells(X, group_a, group_b, batch, allow_empty_cells=not self.normalise)
        design = _design(cells.in_a, cells.batch)
        # Cells with the same row of the design are exchangeable: sums over them are all that the fits need.
        patterns, pattern = np.unique(design, axis=0, return_inverse=True)
        pattern = pattern.ravel()
        size = np.bincount(pattern)
        data = _summarise(_log_expression(cells.counts, self.normalise), pattern, len(size))

        variance, df = _fit_variance_prior(*data) if self.shrink else (1.0, 0.0)
        full = _Hurdle(patterns, size, data, design, variance, df, self.prior)
        null = _Hurdle(patterns[:, :-1], size, data, design[:, :-1], variance, df, self.prior)

        test_c = (full.residual_df > 1) & (null.residual_df > 1)
        test_d = full.converged & null.converged
        lr_c = np.where(test_c, 2 * (full.loglik_continuous - null.loglik_continuous), 0.0)
        lr_d = np.where(test_d, 2 * (full.loglik_discrete - null.loglik_discrete), 0.0)
        dof = np.where(test_c, full.rank - null.rank, 0) + test_d
        log_p = np.where(dof > 0, chi2.logsf(lr_c + lr_d, np.maximum(dof, 1)), 0.0)
        return pd.DataFrame(
            {
                "score": -log_p,
                "log_fold_change": full.group_effect(),
                "pvalue": np.exp(log_p),
                "lr_continuous": lr_c,
                "lr_discrete": lr_d,
                "df": dof,
            }
        )


class _Hurdle:
    """Both parts fitted to all genes at once, from the sums over the cells of each row of the design.

    ``patterns`` (n_patterns, p) are the distinct rows of ``design`` (n_cells, p), ``size`` their numbers of cells.
    """

    def __init__(self, patterns, size, data, design, variance, df, prior):
        self.patterns = patterns
        positives = data[0].sum(axis=0)
        self.coef_c, self.rank, rss = _least_squares(patterns, *data)
        self.residual_df = positives - self.rank
        s2 = (rss + variance * df) / np.maximum(positives + df, 1)
        # A floor, because without shrinkage a gene of equal values has variance 0 and an infinite likelihood.
        s2 = np.maximum(s2, np.finfo(float).tiny)
        self.loglik_continuous = -positives / 2 * (np.log(2 * np.pi * s2) + 1)

        precision = _prior_precision(design) if prior else np.zeros((design.shape[1],) * 2)
        self.coef_d, deviance, converged = _logistic(patterns, size, data[0], precision)
        self.loglik_discrete = -deviance / 2  # the prior shapes the estimate but is not counted
        self.converged = converged & (positives > 0)

    def group_effect(self):
        """Change of P(E > 0) x E[E | E > 0] with the last column of the design, in the first batch; (n_genes,)."""
        base = np.eye(self.patterns.shape[1])[0]
        effect = base.copy()
        effect[-1] = 1
        value_b, value_a = ((self.coef_c @ row) * expit(self.coef_d @ row) for row in (base, effect))
        estimable = (self.rank == self.patterns.shape[1]) & (self.residual_df > 0) & self.converged
        return np.where(estimable, value_a - value_b, np.nan)


def _design(in_a, batch):
    """Return intercept, batch indicators (the first label is the baseline), group indicator; (n_cells, p)."""
    others = [] if batch is None else np.unique(batch)[1:]
    return np.column_stack([np.ones(len(in_a)), *(batch == label for label in others), in_a]).astype(float)


def _log_expression(X, normalise):
    E = X.astype(np.float64)
    if normalise:
        library = np.asarray(E.sum(axis=1)).ravel()
        E.data /= np.repeat(library / np.median(library), np.diff(E.indptr))
    E.data = np.log2(1 + E.data)
    return E


def _summarise(E, pattern, n_patterns):
    """Return the number, mean and sum of squares (about the mean) of the positives, each (n_patterns, n_genes)."""
    n_genes = E.shape[1]
    cell = np.repeat(np.arange(E.shape[0]), np.diff(E.indptr))
    slot = pattern[cell] * n_genes + E.indices

    def total(values=None):
        return np.bincount(slot, weights=values, minlength=n_patterns * n_genes).reshape(n_patterns, n_genes)

    n = total()
    mean = total(E.data) / np.maximum(n, 1)
    return n, mean, total((E.data - mean.ravel()[slot]) ** 2)


def _least_squares(patterns, n, mean, ss):
    """Return coefficients (n_genes, p), rank and residual sum of squares of E on the design, positive cells only."""
    root = np.sqrt(n.T)  # (genes, patterns)
    weighted = root[:, :, None] * patterns  # (genes, patterns, p)
    coef = (np.linalg.pinv(weighted) @ (root * mean.T)[:, :, None])[:, :, 0]
    residual = root * (mean.T - coef @ patterns.T)
    rss = ss.sum(axis=0) + (residual**2).sum(axis=1)
    rss[rss < 1e-20 * (n * mean**2).sum(axis=0)] = 0.0  # equal values, up to rounding
    return coef, np.linalg.matrix_rank(weighted), rss


def _fit_variance_prior(n, mean, ss):
    """Return variance and degrees of freedom of the prior: precision of a gene ~ Gamma(df/2, rate df/2 * variance).

    Maximises the marginal likelihood of the sums of squares about the gene means (the model without covariates).
    Genes of one positive cell or of equal values say nothing, as in the original.
    """
    _, _, total = _least_squares(np.ones((len(n), 1)), n, mean, ss)
    r = n.sum(axis=0) - 1
    known = (r > 0) & (total > 0)
    r, total = r[known], total[known]
    if not known.any():
        return 1.0, 0.0

    def objective(parameters):
        a, b = parameters
        log_term = np.log1p(total / (2 * b))
        value = -betaln(r / 2, a) - r / 2 * np.log(b) - (r / 2 + a) * log_term
        by_a = digamma(r / 2 + a) - digamma(a) - log_term
        by_b = (a * total - r * b) / (b * (total + 2 * b))
        return -value.sum(), -np.array([by_a.sum(), by_b.sum()])

    # The starting point and the stopping rule of R's optim: the same numbers, not only the same optimum.
    rule = {"ftol": 1e7 * np.finfo(float).eps, "gtol": 0, "maxcor": 5, "maxiter": 100}
    a, b = minimize(objective, [1.0, 1.0], jac=True, method="L-BFGS-B", bounds=[(1e-3, None)] * 2, options=rule).x
    return b / a, 2 * a


def _prior_precision(design):
    """Return the precision (p, p) of the prior: the intercept's sits on the linear predictor at the mean cell.

    The R function re-estimates the scale of a t prior in every step but never uses the result: the prior is Gaussian.
    """
    centre = design.mean(axis=0)
    precision = np.outer(centre, centre) / INTERCEPT_SD**2
    for k in range(1, design.shape[1]):  # every further column is an indicator, with range 1
        precision[k, k] += 1 / SLOPE_SD**2
    return precision


def _logistic(patterns, size, positive, precision):
    """Maximum a posteriori logistic regression of every gene by iteratively reweighted least squares.

    ``positive`` (n_patterns, n_genes) of ``size`` (n_patterns,) cells express the gene. Returns the coefficients
    (n_genes, p), the deviance without the prior and whether the iteration converged, each (n_genes,).
    """
    n_genes = positive.shape[1]
    outer = np.einsum("kp,kq->kpq", patterns, patterns)
    size = size[:, None]
    # R starts from the means (y + 1/2) / 2 of the single cells: all weights 3/16, responses +-(log 3 + 4/3).
    weight = np.full((len(size), n_genes), 3 / 16) * size
    response = weight * (np.log(3) + 4 / 3) * (2 * positive / size - 1)
    coef = np.zeros((n_genes, patterns.shape[1]))
    deviance = np.full(n_genes, np.inf)
    converged = np.zeros(n_genes, dtype=bool)
    for iteration in range(MAX_ITERATIONS):
        open_ = np.flatnonzero(~converged)
        if not open_.size:
            break
        gram = np.einsum("kg,kpq->gpq", weight[:, open_], outer) + precision
        coef[open_] = np.linalg.solve(gram, (response[:, open_].T @ patterns)[:, :, None])[:, :, 0]
        eta = patterns @ coef[open_].T
        new = 2 * (size * np.logaddexp(0, eta) - positive[:, open_] * eta).sum(axis=0)
        if iteration:
            converged[open_] = np.abs(new - deviance[open_]) < TOLERANCE * (0.1 + np.abs(new))
        deviance[open_] = new
        mu = expit(eta)
        weight[:, open_] = size * mu * (1 - mu)
        response[:, open_] = weight[:, open_] * eta + positive[:, open_] - size * mu
    return coef, deviance, converged
