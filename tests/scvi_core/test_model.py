"""The estimator: its manners, its options, and each of its answers."""

import copy
import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from anndata import AnnData
from sklearn.base import clone

from scvi_core import SCVI, InvalidCounts, answers

BATCH = np.array(["b", "a", "c"])[np.arange(70) % 3]


def counts(n_cells=70, n_genes=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.poisson(rng.lognormal(0.5, 1, size=(n_cells, n_genes)))
    X[:, 0] += 1
    return X


def small(**parameters):
    return SCVI(**{"n_hidden": 8, "n_latent": 2, "n_epochs": 3, "batch_size": 32} | parameters)


@pytest.fixture(scope="module")
def fitted():
    return small().fit(counts(), BATCH)


OPTIONS = [
    {"likelihood": "nb"},
    {"dispersion": "gene-batch"},
    {"dispersion": "gene-cell"},
    {"dispersion": "gene-cell", "likelihood": "nb", "library": "none"},
    {"library": "observed"},
    {"library": "none"},
    {"library_prior": "pooled"},
    {"library_encoder": "offset"},
    {"library_encoder": "prior"},
    {"decoder": "linear"},
    {"decoder": "linear", "dispersion": "gene-cell", "library": "none", "n_layers": 2},
    {"encode_batch": False},
    {"use_batch": False},
    {"n_layers": 2},
    {"n_layers": 3, "dropout_on": "input", "dispersion": "gene-batch"},
    {"dropout": 0.0},
    {"log_input": False},
    {"init": "authors", "framework": "tensorflow"},
    {"batch_norm_momentum": 0.1, "batch_norm_eps": 1e-5},
    {"sampling": "replacement"},
    {"sampling": "slices", "library_prior": "batch_means"},
    {"kl_warmup_of": "z", "kl_warmup_epochs": 400},
    {"kl_schedule": lambda epoch: 0.5},
    {"mmd_weight": 10.0},
    {"mmd_weight": 10.0, "mmd_kernel": "rbf"},
    {"early_stopping": "authors"},
    {"early_stopping": "patience"},
    {"point": "sample"},
    {"verbose": True},
]


@pytest.mark.parametrize("engine", ["plain", "auto"])
@pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda o: ",".join(f"{k}={getattr(v, '__name__', v)}" for k, v in o.items())[:60]
)
def test_every_option_trains_and_answers(options, engine):
    X = counts()
    model = small(n_epochs=1, engine=engine, **options).fit(X, BATCH)
    assert np.isfinite(model.history_["loss"]).all()
    assert model.latent(X, BATCH).shape == (70, 2)
    assert (model.impute(X, BATCH) >= 0).all()
    assert np.isfinite(model.loglik(X, BATCH)).all()
    assert np.isfinite(model.loglik(X, BATCH, n_samples=3)).all()
    assert model.sample(X, 2, BATCH).shape == (2, 70, 12)
    assert model.sample_prior(5).shape == (5, 12)
    assert model.normalized(X, BATCH, "all").shape == (70, 12)
    assert np.isfinite(model.compare(X, BATCH == "a", BATCH == "b", BATCH, n_pairs=4, n_samples=3)["score"]).all()
    assert np.isfinite(model.tune_encoder(X, BATCH, n_epochs=1).loglik(X, BATCH)).all()


@pytest.mark.parametrize("engine", ["plain", "auto"])
def test_without_use_of_the_batch_the_labels_change_nothing(engine):
    """Every answer is that of a model which was never told of batches; labels are still checked."""
    X, options = counts(), {"engine": engine, "mmd_weight": 10.0, "dispersion": "gene-batch"}
    told = small(use_batch=False, **options).fit(X, BATCH)
    never_told = small(**options).fit(X)
    others = np.where(BATCH == "a", "never seen", BATCH)
    for method in ("latent", "impute", "loglik", "normalized", "library_size", "sample"):
        np.testing.assert_array_equal(getattr(told, method)(X, batch=others), getattr(never_told, method)(X))
    np.testing.assert_array_equal(told.normalized(X, BATCH, "c"), never_told.normalized(X))
    np.testing.assert_array_equal(told.sample_prior(70), never_told.sample_prior(70))
    groups = BATCH == "a", BATCH != "a"
    assert told.compare(X, *groups, BATCH).equals(never_told.compare(X, *groups))
    assert (told.impute(X) != small(**options).fit(X, BATCH).impute(X, BATCH)).any()
    with pytest.raises(InvalidCounts, match="one label per cell"):
        small(use_batch=False).fit(X, BATCH[:5])


@pytest.mark.parametrize("engine", ["plain", "auto"])
def test_what_differs_between_batches_is_told_by_their_labels(engine):
    """Batches of the same cells, but for one gene that is ten times as frequent in the second."""
    rng = np.random.default_rng(0)
    mean = np.where((np.arange(160) < 80)[:, None] | (np.arange(12) > 0), 3.0, 30.0)
    X, batch = rng.poisson(mean) + 1, np.repeat(["a", "b"], 80)
    model = small(n_epochs=60, lr=0.02, engine=engine).fit(X, batch)
    first, second = (model.normalized(X, batch, label)[:, 0].mean() for label in "ab")
    assert 0.06 < first < 0.11 < 0.3 < second < 0.5  # of all counts: 4 / 48 and 31 / 75


def test_constructor_only_stores():
    parameters = {name: object() for name in inspect.signature(SCVI).parameters}
    model = SCVI(**parameters)
    assert all(getattr(model, name) is value for name, value in parameters.items())
    assert vars(model).keys() == parameters.keys()
    assert clone(SCVI(n_latent=3)).get_params() == SCVI(n_latent=3).get_params()


def test_same_seed_same_bits_and_no_global_state():
    X = counts()
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (small(random_state=5).fit(X, BATCH) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    for name, value in first.network_.state_dict().items():
        assert torch.equal(value, second.network_.state_dict()[name])
    for method in ("latent", "impute", "loglik"):
        np.testing.assert_array_equal(getattr(first, method)(X, BATCH), getattr(second, method)(X, BATCH))
    assert not np.array_equal(small(random_state=6).fit(X, BATCH).latent(X, BATCH), first.latent(X, BATCH))
    small(random_state=None, n_epochs=1).fit(X)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, np.asfortranarray, lambda X: X.astype(float)])
def test_input_forms(form):
    X = counts()
    given = form(X.copy())
    kept = given.copy()
    model = small().fit(given, BATCH)
    np.testing.assert_array_equal(model.latent(given, BATCH), small().fit(X, BATCH).latent(X, BATCH))
    assert abs(given - kept).sum() == 0
    assert given.dtype == kept.dtype


def test_bad_input_is_named(fitted):
    X = counts()
    for bad, message in [(X - 1, "negative"), (X + 0.5, "integer"), (X * [[0]] * 70, "No gene")]:
        with pytest.raises(InvalidCounts, match=message):
            small().fit(bad)
    with pytest.raises(InvalidCounts, match="one cell"):
        small().fit(X[:1])
    with pytest.raises(InvalidCounts, match="appears twice"):
        small().fit(X, gene_names=["g"] * 12)
    with pytest.raises(InvalidCounts, match="11 genes"):
        fitted.latent(X[:, :11], BATCH)
    with pytest.raises(InvalidCounts, match=r"'z' at row 3 .* 'a', 'b', 'c'"):
        fitted.latent(X, np.where(np.arange(70) == 3, "z", BATCH))
    with pytest.raises(InvalidCounts, match=r"fitted with batches: pass batch=.*'a', 'b', 'c'"):
        fitted.latent(X)
    with pytest.raises(ValueError, match=r"likelihood='gauss'.*'zinb', 'nb', 'poisson'"):
        small(likelihood="gauss").fit(X)
    with pytest.raises(ValueError, match="'plain'"):
        small(engine="steam").fit(X)
    with pytest.raises(ValueError, match="'steam'"):
        copy.deepcopy(fitted).set_params(engine="steam").latent(X, BATCH)
    with pytest.raises(ValueError, match="batch_size"):
        small(batch_size=1).fit(X)
    with pytest.raises(ValueError, match="not fitted"):
        small().latent(X)


def test_library_prior():
    X = counts()
    log_size = np.log(X.sum(axis=1))
    network = small(n_epochs=1).fit(X, BATCH).network_
    for code, label in enumerate("abc"):
        assert network.library_mean[code].item() == pytest.approx(log_size[label == BATCH].mean(), rel=1e-6)
        assert network.library_var[code].item() == pytest.approx(log_size[label == BATCH].var(), rel=1e-5)
    network = small(n_epochs=1, library_prior="pooled").fit(X, BATCH).network_
    np.testing.assert_allclose(network.library_mean, log_size.mean(), rtol=1e-6)
    np.testing.assert_allclose(network.library_var, log_size.var(), rtol=1e-5)


def test_library_prior_of_other_cells():
    """Of the same cells before their counts were thinned, by batch or not, with or without batches in the model."""
    X, others = counts(), counts(90, seed=4)
    labels = np.resize(["c", "a", "b", "b"], 90)
    log_size = np.log(others.sum(axis=1))
    of_batch = np.array([[log_size[labels == s].mean(), log_size[labels == s].var()] for s in "abc"])
    pooled, means = [[log_size.mean(), log_size.var()]] * 3, [of_batch.mean(axis=0)] * 3
    expected = {"per_batch": of_batch, "pooled": pooled, "batch_means": means}
    for rule, moments in expected.items():
        network = small(n_epochs=0, library_prior=rule).fit(X, BATCH, library_from=(others, labels)).network_
        found = torch.stack([network.library_mean, network.library_var], dim=1)
        np.testing.assert_allclose(found, moments, rtol=1e-5)
    model = small(n_epochs=0, library_prior="batch_means", use_batch=False).fit(others, labels)
    assert [model.network_.library_mean.item(), model.network_.library_var.item()] == pytest.approx(means[0], rel=1e-5)
    for wrong, said in [
        ((others[:, 1:], labels), "11 genes"),
        ((others[labels != "a"], labels[labels != "a"]), "lacks"),
    ]:
        with pytest.raises(InvalidCounts, match=said):
            small(n_epochs=0).fit(X, BATCH, library_from=wrong)


def test_library_encoder_starts():
    """Without a step taken, q(l) is near zero, at the prior, or at the observed size."""
    X = counts() * 100
    log_size = np.log(X.sum(axis=1))
    start = {}
    for form in ("free", "prior", "offset"):
        model = small(n_epochs=0, library_encoder=form).fit(X, BATCH)
        with torch.no_grad():
            q = model.network_.encode(torch.tensor(X, dtype=torch.float32), torch.from_numpy(model._codes(BATCH, 70)))
        start[form] = q.l_mean[:, 0].numpy()
    assert np.abs(start["free"]).max() < 3
    np.testing.assert_allclose(
        start["prior"] - start["free"], np.full(70, start["prior"][0] - start["free"][0]), atol=1e-5
    )
    assert start["prior"].mean() == pytest.approx(log_size.mean(), abs=1.5)
    np.testing.assert_allclose(start["offset"] - start["free"], log_size, rtol=1e-5)


@pytest.mark.slow
def test_expectations_agree_with_draws(fitted):
    """The answers of `impute`, `normalized`, `library_size`, ... are the means of what `sample` draws from."""
    X = counts()
    draws = fitted.sample(X, 2500, BATCH, dropout=False)
    error = draws.std(axis=0) / np.sqrt(2500)
    expected = fitted.impute(X, BATCH, n_samples=400)
    deviations = (draws.mean(axis=0) - expected) / np.maximum(error, 1e-9)
    assert np.abs(deviations).mean() == pytest.approx(0.8, abs=0.15)  # E|N(0, 1)|
    zeros = (draws == 0).mean(axis=0)
    np.testing.assert_allclose(zeros, fitted.nb_zero_probability(X, BATCH, n_samples=400), atol=0.05)
    pi = fitted.dropout_probability(X, BATCH, n_samples=400)
    with_dropout = fitted.sample(X, 2500, BATCH)
    np.testing.assert_allclose((with_dropout == 0).mean(axis=0), pi + (1 - pi) * zeros, atol=0.05)
    factor = fitted.library_size(X, BATCH)[:, None] * fitted.normalized(X, BATCH, n_samples=400)
    np.testing.assert_allclose(factor, expected, rtol=0.05)
    np.testing.assert_allclose(draws.var(axis=(0, 1)) > draws.mean(axis=(0, 1)), True)


def test_normalized_over_batches(fitted):
    X = counts()
    own = fitted.normalized(X, BATCH)
    np.testing.assert_allclose(own.sum(axis=1), 1, rtol=1e-5)
    single = {label: fitted.normalized(X, BATCH, label) for label in "abc"}
    np.testing.assert_allclose(own[BATCH == "b"], single["b"][BATCH == "b"], rtol=1e-5)
    share = {label: np.mean(label == BATCH) for label in "abc"}
    mixed = sum(share[label] * single[label] for label in "abc")
    np.testing.assert_allclose(fitted.normalized(X, BATCH, "all"), mixed, rtol=1e-5)
    two = (share["a"] * single["a"] + share["c"] * single["c"]) / (share["a"] + share["c"])
    np.testing.assert_allclose(fitted.normalized(X, BATCH, ["a", "c"]), two, rtol=1e-5)


def test_point_sample_is_a_draw(fitted):
    X = counts()
    sampled = clone(fitted).set_params(point="sample").fit(X, BATCH)
    assert not np.array_equal(sampled.latent(X, BATCH), fitted.latent(X, BATCH))
    np.testing.assert_array_equal(sampled.latent(X, BATCH), sampled.latent(X, BATCH))
    # so many cells of one kind draw from one q
    many = np.repeat(X[:1], 20000, axis=0)
    z = sampled.latent(many, np.full(20000, "b"))
    np.testing.assert_allclose(z.mean(axis=0), fitted.latent(X[:1], ["b"])[0], atol=0.05)


def test_observed_and_absent_library():
    X = counts()
    np.testing.assert_allclose(small(library="observed").fit(X).library_size(X), X.sum(axis=1), rtol=1e-6)
    absent = small(library="none").fit(X)
    with pytest.raises(ValueError, match="without a library size"):
        absent.library_size(X)
    assert absent.sample_prior(3).shape == (3, 12)
    with pytest.raises(ValueError, match="no dropout probability"):
        small(likelihood="nb").fit(X).dropout_probability(X)


def test_prior_draws(fitted):
    given = fitted.sample_prior(4000, batch=np.full(4000, "a"), library_size=np.full(4000, 500.0), dropout=False)
    assert given.sum(axis=1).mean() == pytest.approx(500, rel=0.1)
    free = fitted.sample_prior(4000, batch=np.full(4000, "a"), dropout=False)
    mean, var = fitted.network_.library_mean[0].item(), fitted.network_.library_var[0].item()
    assert free.sum(axis=1).mean() == pytest.approx(np.exp(mean + var / 2), rel=0.1)


@pytest.mark.parametrize("dispersion", ["gene", "gene-batch", "gene-cell"])
def test_inverse_dispersion(dispersion):
    X = counts()
    model = small(dispersion=dispersion).fit(X, BATCH)
    shape = {"gene": (12,), "gene-batch": (3, 12), "gene-cell": (70, 12)}[dispersion]
    theta = model.inverse_dispersion(X, BATCH)
    assert theta.shape == shape
    assert (theta > 0).all()
    if dispersion == "gene-cell":
        with pytest.raises(ValueError, match="pass the counts"):
            model.inverse_dispersion()


def test_importance_weighting_raises_the_bound(fitted):
    X = counts()
    estimate, error = fitted.loglik(X, BATCH, n_samples=200, return_error=True)
    assert error.shape == (70,)
    assert estimate.mean() > fitted.loglik(X, BATCH).mean()
    with pytest.raises(ValueError, match="n_samples"):
        fitted.loglik(X, BATCH, return_error=True)


@pytest.mark.slow
def test_the_marginal_likelihood_comes_closer_than_the_importance_weighted_bound(fitted):
    """Fifty draws of q are biased downwards by about half their variance; far more draws of q are the judge."""
    X = counts()
    few, many = (fitted.loglik(X, BATCH, n_samples=n).mean() for n in (50, 20_000))
    estimate, error = fitted.marginal_loglik(X, BATCH, n_samples=50)
    assert estimate.shape == error.shape == (70,)
    assert abs(estimate.mean() - many) < 0.5 * (many - few)
    again, _ = fitted.marginal_loglik(X, BATCH, n_samples=50)
    np.testing.assert_array_equal(estimate, again)
    with pytest.raises(ValueError, match=r"n_samples=1\).*at least 2"):
        fitted.marginal_loglik(X, BATCH, n_samples=1)


def test_the_likelihood_of_a_cell_is_the_bound_with_full_weight(fitted):
    """The mean over draws of q of log p(x, z, l) - log q(z, l), with the densities of torch and no closed form."""
    X, normal = counts(), torch.distributions.Normal
    model, network = copy.deepcopy(fitted), fitted.network_
    x, s = torch.from_numpy(X).float(), torch.as_tensor(fitted._codes(BATCH, 70))
    likelihoods, ratios = [], []  # each (cells,)
    with torch.no_grad():
        q = network.encode(x, s)
        q_z, q_l = (normal(m, (v / 2).exp()) for m, v in ((q.z_mean, q.z_logvar), (q.l_mean, q.l_logvar)))
        p_l = normal(network.library_mean[s, None], network.library_var[s, None].sqrt())
        torch.manual_seed(0)
        for _ in range(200):
            z, log_l = q_z.sample(), q_l.sample()
            decoded = network.decode(z, s)
            mu, theta = (decoded.log_rho + log_l).exp(), decoded.log_theta.exp()
            nb = torch.distributions.NegativeBinomial(theta, logits=mu.log() - theta.log()).log_prob(x)
            pi = decoded.heads["dropout"].sigmoid()
            log_p = torch.where(x == 0, (pi + (1 - pi) * nb.exp()).log(), (1 - pi).log() + nb).sum(1)
            ratio = normal(0, 1).log_prob(z).sum(1) - q_z.log_prob(z).sum(1)
            likelihoods.append(log_p)
            ratios.append(ratio + (p_l.log_prob(log_l) - q_l.log_prob(log_l))[:, 0])
    likelihood, ratio = (torch.stack(of_draws).mean().item() for of_draws in (likelihoods, ratios))
    found = np.mean([model.set_params(random_state=i).loglik(X, BATCH).mean() for i in range(20)])
    assert found == pytest.approx(likelihood + ratio, abs=0.1)
    assert ratio < -0.5  # far enough from zero for half of it to show


def test_cells_of_every_chunk_have_draws_of_their_own(fitted, monkeypatch):
    monkeypatch.setattr(answers, "MARGINAL_CELLS", 20)
    X = np.repeat(counts()[:1], 50, axis=0)
    estimate, error = fitted.marginal_loglik(X, BATCH[:1].repeat(50), n_samples=50)
    assert len(set(estimate)) == 50
    assert np.abs(estimate - estimate.mean()).max() < 4.5 * error.max()


@pytest.mark.slow
def test_the_marginal_likelihood_survives_an_encoder_that_says_nonsense(fitted):
    """The deviation of q overflows in one dimension and vanishes in the other."""
    X = counts()
    expected, _ = fitted.marginal_loglik(X, BATCH)
    broken = copy.deepcopy(fitted)
    with torch.no_grad():
        broken.network_.encoder_z.logvar.bias[:] = torch.tensor([200.0, -200.0])
    estimate, _ = broken.marginal_loglik(X, BATCH)
    assert np.abs(estimate - expected).mean() < 0.1


def test_tuned_encoder_leaves_the_generative_part(fitted):
    X = counts(seed=3)
    before = {name: value.clone() for name, value in fitted.network_.state_dict().items()}
    tuned = fitted.tune_encoder(X, BATCH, n_epochs=30)
    for name, value in tuned.network_.state_dict().items():
        if not name.startswith("encoder"):
            assert torch.equal(value, before[name]), name
        assert torch.equal(fitted.network_.state_dict()[name], before[name]), name
    assert tuned.loglik(X, BATCH).mean() > fitted.loglik(X, BATCH).mean() + 0.1
    z = np.zeros((3, 2), dtype=np.float32)
    s = torch.tensor([0, 1, 2])
    assert torch.equal(
        tuned.network_.decode(torch.from_numpy(z), s).log_rho, fitted.network_.decode(torch.from_numpy(z), s).log_rho
    )


def test_an_encoder_tuned_by_the_rule_of_the_authors_is_the_last_one(fitted):
    X = counts(seed=3)
    far = {rule: fitted.tune_encoder(X, BATCH, n_epochs=3, lr=1.0, rule=rule) for rule in ("best", "authors")}
    assert far["best"].loglik(X, BATCH).mean() >= fitted.loglik(X, BATCH).mean()
    assert far["authors"].loglik(X, BATCH).mean() < fitted.loglik(X, BATCH).mean()
    for name, value in far["authors"].network_.state_dict().items():
        if not name.startswith("encoder"):
            assert torch.equal(value, fitted.network_.state_dict()[name]), name
    warmer = far["authors"].set_params(warm_start=True, n_epochs=4).fit(counts(), BATCH)  # where training goes on
    moved = "decoder.hidden.0.norm.running_mean"
    assert not torch.equal(warmer.network_.state_dict()[moved], fitted.network_.state_dict()[moved])
    with pytest.raises(ValueError, match="rule='first'"):
        fitted.tune_encoder(X, BATCH, rule="first")


def test_both_encoders_are_tuned(fitted):
    tuned = fitted.tune_encoder(counts(seed=3), BATCH, n_epochs=30)
    for name in ("encoder_z", "encoder_l"):
        before, after = (getattr(model.network_, name).mean.weight for model in (fitted, tuned))
        assert not torch.equal(before, after), name


def test_an_encoder_is_tuned_with_the_epsilon_of_the_framework():
    """At its first step Adam moves a weight by lr g / (|g| + eps), with TensorFlow's epsilon by root(1000) as much."""
    lr, eps, moved = 1e-4, 0.1, {}
    for framework in ("torch", "tensorflow"):
        model = small(framework=framework, n_epochs=0, batch_size=128).fit(counts(), BATCH)
        tuned = model.tune_encoder(counts(seed=3), BATCH, n_epochs=1, lr=lr, adam_eps=eps)
        before, after = (m.network_.encoder_l.mean.weight.detach().double() for m in (model, tuned))
        moved[framework] = before - after
    gradient = moved["torch"] * eps / (lr - moved["torch"].abs())
    expected = lr * gradient / (gradient.abs() + eps * 1000**0.5)
    assert gradient.abs().max() > eps
    torch.testing.assert_close(moved["tensorflow"], expected, rtol=0.05, atol=1e-7)


def test_warm_start_continues_to_the_same_bits():
    X = counts()
    straight = small(n_epochs=6, kl_warmup_epochs=4).fit(X, BATCH)
    halves = small(n_epochs=3, kl_warmup_epochs=4, warm_start=True).fit(X, BATCH)
    halves.set_params(n_epochs=6).fit(X, BATCH)
    np.testing.assert_array_equal(halves.latent(X, BATCH), straight.latent(X, BATCH))
    assert halves.history_["epoch"].tolist() == list(range(6))


def test_anndata(fitted):
    X = counts()
    adata = AnnData(
        sp.csr_matrix(X, dtype=np.float32), obs=pd.DataFrame({"donor": BATCH}, index=[f"c{i}" for i in range(70)])
    )
    adata.var_names = [f"g{i}" for i in range(12)]
    adata.layers["raw"] = adata.X.copy()
    for layer in (None, "raw"):
        model = SCVI.from_anndata(
            adata, layer=layer, batch_key="donor", n_hidden=8, n_latent=2, n_epochs=3, batch_size=32
        )
        assert model.gene_names_ == list(adata.var_names)
        # the products of some processors hang, in the last digit, on where an array begins in memory
        np.testing.assert_allclose(adata.obsm["X_scVI"], fitted.latent(X, BATCH), rtol=1e-5, atol=1e-6)
    with pytest.raises(KeyError, match="donor"):
        SCVI.from_anndata(adata, batch_key="plate")
    with pytest.raises(KeyError, match="raw"):
        SCVI.from_anndata(adata, layer="counts")


@pytest.mark.slow
def test_first_epoch_loads_little_beside_pytorch():
    """What a user waits for at the first import and the first epoch."""
    code = (
        "import sys, numpy as np; from scvi_core import SCVI; "
        "SCVI(n_epochs=1, n_hidden=4).fit(np.ones((9, 3), dtype=int)); "
        "slow = ('torch._dynamo', 'sympy', 'sklearn', 'scipy.stats', 'pandas', 'matplotlib', 'anndata'); "
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
