"""The linear decoder: against the formulas in NumPy, and as a model of counts whose factors are known."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from scipy.special import expit, logsumexp
from scipy.stats import nbinom, norm

from scvi_core import SCVI

BATCH = np.array(["b", "a"])[np.arange(50) % 2]
GENES = [f"gene {i}" for i in range(9)]


def counts(n_cells=50, n_genes=9, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.poisson(rng.lognormal(0.5, 1, size=(n_cells, n_genes)))
    X[:, 0] += 1
    return X


def small(**parameters):
    given = {"decoder": "linear", "n_hidden": 8, "n_latent": 2, "n_epochs": 4, "lr": 1e-2, "batch_size": 16}
    return SCVI(**given | parameters)


@pytest.fixture(scope="module")
def fitted():
    return small().fit(counts(), BATCH, gene_names=GENES)


def written_out(model):
    """The decoder of the model in double precision and NumPy: (z, batch codes) -> log rho, logits of dropout."""
    state = {name: tensor.double().numpy() for name, tensor in model.network_.decoder.state_dict().items()}

    def head(name, inputs):
        h = inputs @ state[f"{name}.linear.weight"].T
        h = (h - state[f"{name}.norm.running_mean"]) / np.sqrt(state[f"{name}.norm.running_var"] + 1e-3)
        return h * state[f"{name}.norm.weight"] + state[f"{name}.norm.bias"]

    def decode(z, codes):
        inputs = np.hstack([z, np.eye(2)[codes]])
        rate = head("rate", inputs)
        return rate - logsumexp(rate, axis=1, keepdims=True), head("dropout", inputs)

    return decode


def test_the_rate_is_the_softmax_of_a_linear_map(fitted):
    rng = np.random.default_rng(1)
    z, codes = rng.normal(size=(6, 2)), rng.integers(2, size=6)
    decoded = fitted.network_.decode(torch.tensor(z, dtype=torch.float32), torch.tensor(codes))
    log_rho, logits = written_out(fitted)(z, codes)
    np.testing.assert_allclose(decoded.log_rho.detach(), log_rho, atol=1e-5)
    np.testing.assert_allclose(decoded.heads["dropout"].detach(), logits, atol=1e-5)


def test_in_training_it_normalises_by_the_minibatch(fitted):
    z, codes = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(20, dtype=torch.int64)
    head = fitted.network_.decoder.rate.train()
    with torch.no_grad():
        head.norm.track_running_stats = False
        out = head(torch.cat([z, fitted.network_.one_hot(codes)], dim=1)).numpy()
    head.norm.track_running_stats = True
    head.eval()
    h = z.numpy() @ head.linear.weight.detach().numpy()[:, :2].T
    expected = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-3)
    expected = expected * head.norm.weight.detach().numpy() + head.norm.bias.detach().numpy()
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_loadings_are_the_slopes_of_the_log_rates(fitted):
    """Steps of one along a dimension move log rho of any two genes apart by the difference of their loadings."""
    loadings = fitted.loadings()
    assert loadings.shape == (9, 2)
    assert list(loadings.index) == GENES
    codes = torch.tensor([0, 1])
    start = torch.tensor([[0.3, -1.0], [2.0, 0.5]])
    for dimension in range(2):
        step = torch.eye(2)[dimension]
        with torch.no_grad():
            moved = fitted.network_.log_rho(start + step, codes) - fitted.network_.log_rho(start, codes)
        apart = loadings[dimension].to_numpy() - loadings[dimension].mean()
        for row in moved.numpy():
            np.testing.assert_allclose(row - row.mean(), apart, atol=1e-5)


@pytest.mark.slow
def test_the_marginal_likelihood_is_the_integral(fitted):
    """One latent dimension and the observed library size: the integral over z by a grid."""
    X = counts()
    model = small(n_latent=1, library="observed").fit(X, BATCH)
    theta, grid = model.inverse_dispersion().astype(float), np.linspace(-6, 6, 4001)
    decode, codes = written_out(model), (BATCH == "b").astype(int)
    expected = []
    for x, code in zip(X[:3], codes, strict=False):
        log_rho, logits = decode(grid[:, None], np.full(len(grid), code))
        p = theta / (theta + x.sum() * np.exp(log_rho))
        kept = 1 - expit(logits)
        joint = np.log(kept * nbinom.pmf(x, theta, p) + (1 - kept) * (x == 0)).sum(axis=1) + norm.logpdf(grid)
        expected.append(logsumexp(joint) + np.log(grid[1] - grid[0]))
    found, error = model.marginal_loglik(X[:3], BATCH[:3], n_samples=300)
    assert (np.abs(found - expected) < 4 * error).all()
    assert (error < 0.05).all()


def test_a_saved_model_says_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = SCVI.load(tmp_path / "model")
    assert loaded.loadings().equals(fitted.loadings())
    np.testing.assert_array_equal(loaded.impute(counts(), BATCH), fitted.impute(counts(), BATCH))


@pytest.mark.parametrize("engine", ["fused", "cuda"])
def test_the_fast_engines_refuse_it(engine, fitted):
    assert fitted.engine_ == "plain"
    with pytest.raises(ValueError, match=r"it (does not know decoder='linear'|is for single)"):
        small(engine=engine, device="cpu").fit(counts())


def test_only_a_linear_decoder_has_loadings():
    with pytest.raises(ValueError, match="has no loadings: fit SCVI"):
        small(decoder="network").fit(counts()).loadings()


@pytest.mark.slow
def test_the_loadings_span_the_factors_of_the_counts():
    """Counts of a linear model: the loadings, but for what the softmax takes off, span its factors."""
    rng = np.random.default_rng(0)
    factors, z = rng.normal(0, 0.7, size=(40, 2)), rng.normal(size=(1500, 2))
    log_rate = rng.normal(0, 0.5, size=40) + z @ factors.T
    rho = np.exp(log_rate - logsumexp(log_rate, axis=1, keepdims=True))
    X = rng.poisson(rho * 600)
    options = {"n_epochs": 60, "n_hidden": 32, "likelihood": "nb", "library": "observed", "kl_warmup_epochs": 20}
    found = small(**options, batch_size=128).fit(X).loadings().to_numpy()
    angles = subspace_angles(found - found.mean(axis=0), factors - factors.mean(axis=0))
    assert np.degrees(angles.max()) < 15
