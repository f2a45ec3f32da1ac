"""Factor analysis on log counts (paper, section 4.6)."""

from sklearn.decomposition import FactorAnalysis

from .loglinear import LogLinear


class FA(LogLinear):
    """Factor analysis of log(1 + counts): y = W z + mean + noise with one noise variance per gene.

    ``latent`` is the posterior mean of z, ``loglik`` the exact Gaussian marginal on the count scale.

    Parameters
    ----------
    n_latent : int
        Number of factors; the paper uses 10.
    random_state : int
        Seed of the randomised SVD inside scikit-learn's fit.
    """

    def _model(self):
        return FactorAnalysis(n_components=self.n_latent, random_state=self.random_state)

    def _reconstruct(self, latent):
        return latent @ self.model_.components_ + self.model_.mean_
