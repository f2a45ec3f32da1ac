"""Encoding, likelihood and comparison of frequencies on the kernels equal the plain code."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scvi_core import SCVI, differential
from scvi_core.data.minibatch import Cells
from scvi_core.engines.c import answers as fused_inference
from scvi_core.engines.c import kernels
from scvi_core.engines.plain import LikelihoodOfCells
from scvi_core.networks import Architecture, Network, initialise

OPTIONS = [
    {},
    {"likelihood": "nb"},
    {"dispersion": "gene-batch"},
    {"dispersion": "gene-cell"},
    {"library": "observed"},
    {"library": "none"},
    {"library_encoder": "offset"},
    {"n_batches": 1},
    {"encode_batch": False, "log_input": False},
    {"n_layers": 3, "n_hidden": 40},
]


@pytest.fixture(scope="module", autouse=True)
def _compiler():
    if kernels.missing() is not None:
        pytest.skip(kernels.missing())


def some_model(**options):
    """A network in evaluation mode with its normalisation away from the start, counts and batch codes."""
    generator, rng = torch.Generator().manual_seed(1), np.random.default_rng(0)
    network = Network(Architecture(**{"n_genes": 90, "n_batches": 3, **options}))
    initialise(network, "torch", generator)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
    X = rng.poisson(rng.gamma(0.5, 3, (600, 90)))
    X[:, 0] += 1
    return network.eval(), Cells(sp.csr_matrix(X.astype(np.int32)), rng.integers(network.arch.n_batches, size=600))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("library", [True, False])
def test_encoding(options, library, monkeypatch):
    network, cells = some_model(**options)
    monkeypatch.setattr(cells, "row_chunks", lambda: torch.arange(600).split(250))
    seen = 0
    for rows, q, size, codes in fused_inference.encoded(network, cells, library):
        x, plain_codes = cells.take(rows)
        with torch.no_grad():
            plain = network.encode(x, plain_codes)
        assert torch.equal(codes, plain_codes)
        assert torch.equal(size, x.sum(dim=1, keepdim=True))
        for ours, theirs in zip(q[: 4 if library else 2], plain, strict=False):
            assert (ours is None) == (theirs is None)
            if ours is not None:
                np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        assert library or q.l_mean is None
        seen += len(rows)
    assert seen == 600


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_likelihood(options):
    network, cells = some_model(**options)
    x, codes = cells.take(torch.arange(600))  # more than are decoded at once
    generator = torch.Generator().manual_seed(0)
    ours, plain = fused_inference.Likelihood(network, x, codes), LikelihoodOfCells(network, x, codes)
    for _ in range(3):
        z, log_l = torch.randn(600, 10, generator=generator), 5 + torch.randn(600, 1, generator=generator)
        scale = network.scale(x, log_l)
        with torch.no_grad():
            np.testing.assert_allclose(ours(z, scale), plain(z, scale), rtol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 7, 300])
@pytest.mark.parametrize("options", [{}, {"library": "none"}, {"n_batches": 1}, {"n_layers": 2}], ids=str)
def test_contrast(options, n_samples):
    network, _ = some_model(**options)
    generator = torch.Generator().manual_seed(0)
    z_a, z_b = torch.randn(2, 90 * n_samples, 10, generator=generator)
    codes = torch.randint(network.arch.n_batches, (90 * n_samples,), generator=generator)
    counts, fold = fused_inference.Contrast(network)(z_a, z_b, codes, n_samples)
    with torch.no_grad():
        plain_counts, plain_fold = differential.Contrast(network.log_rho)(z_a, z_b, codes, n_samples)
    assert (counts - plain_counts).abs().max() <= 1  # a difference within rounding of zero
    assert (counts != plain_counts).float().mean() < 1e-3
    np.testing.assert_allclose(fold, plain_fold, rtol=1e-4, atol=1e-3 * n_samples)


@pytest.mark.parametrize("options", [{}, {"library": "none"}, {"n_batches": 1}, {"n_layers": 2}], ids=str)
def test_mean_frequencies(options):
    network, _ = some_model(**options)
    generator = torch.Generator().manual_seed(0)
    decodings = [
        (torch.randn(600, 10, generator=generator), torch.full((600,), code), weight)
        for code, weight in ((0, 0.3), (network.arch.n_batches - 1, 0.2), (0, 0.5))
    ]
    ours = fused_inference.MeanRho(network)(decodings)
    with torch.no_grad():
        plain = sum(weight * network.log_rho(z, codes).exp() for z, codes, weight in decodings)
    np.testing.assert_allclose(ours, plain, rtol=1e-5)


def test_draws_are_shared_out_by_frequency():
    generator, frequency = torch.Generator().manual_seed(0), np.array([0.5, 0.13, 0.37])
    codes = differential._share_out(frequency, 2000, 10, generator).view(2000, 10)
    counts = torch.nn.functional.one_hot(codes, 3).sum(dim=1).double()
    np.testing.assert_allclose(counts.mean(dim=0) / 10, frequency, atol=0.005)
    assert (counts - 10 * torch.from_numpy(frequency)).abs().max() < 1  # of each pair, to one draw
    assert differential._share_out(np.ones(1), 3, 5, generator).tolist() == [0] * 15


@pytest.mark.parametrize("question", ["latent", "impute", "normalized", "library_size", "loglik", "compare"])
def test_answers_are_those_of_the_plain_code(question):
    _, cells = some_model()
    X, batch = cells.X, cells.batch.numpy()
    model = SCVI(n_epochs=2).fit(X, batch)
    ask = {
        "loglik": lambda: model.loglik(X, batch, n_samples=5),
        "compare": lambda: model.compare(X, batch == 0, batch > 0, batch, n_pairs=20)["probability"].to_numpy(),
    }.get(question, lambda: getattr(model, question)(X, batch))
    ours = ask()
    model.set_params(engine="plain")
    np.testing.assert_allclose(ours, ask(), rtol=1e-4, atol=2e-3 if question == "compare" else 1e-5)
