"""MAST, ComBat, SIMLR and ZINB-WaVE in their authors' R packages, where those are installed."""

import re
from pathlib import Path

import numpy as np
import pytest

from baselines.combat import ComBat
from baselines.combat_r import ComBatInR, combat_in_r
from baselines.mast import MAST
from baselines.mast_r import MASTInR
from baselines.simlr import SIMLRInR
from baselines.zinbwave import ZINBWaVE, ZINBWaVEInR
from r_env import bridge

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
ROWS = {"MAST": MASTInR(), "sva": ComBatInR(), "SIMLR": SIMLRInR(n_clusters=4), "zinbwave": ZINBWaVEInR(n_latent=2)}


def golden(name):
    return np.load(GOLDEN / f"{name}.npz")


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(1).negative_binomial(2, 0.2, size=(80, 30)) + np.eye(80, 30, dtype=int)


def test_a_script_has_the_name_of_its_module():
    """By its name a script is part of the code of a method: a change of it changes the key of the records."""
    named = {
        path.stem: re.findall(r'^SCRIPT = "(.+)"$', path.read_text(), re.MULTILINE)
        for path in (ROOT / "baselines").rglob("*.py")
    }
    scripts = {module: script for module, (script,) in ((m, s) for m, s in named.items() if s)}
    assert scripts == {module: f"{module}.R" for module in scripts}
    assert {path.name for path in (ROOT / "r_env").glob("*.R")} == {*scripts.values(), "bridge.R"}


@pytest.mark.slow  # it starts R where there is one
@pytest.mark.parametrize("package", ROWS)
def test_a_missing_package_is_said_before_anything_is_computed(package, counts):
    reason = bridge.available()
    if reason is None and not bridge.missing([package]):
        pytest.skip(f"R package {package} is installed")
    with pytest.raises(bridge.RUnavailable) as caught:
        ROWS[package].fit(counts)
    assert str(caught.value) == (reason or f"R package {package} is not installed (r_env/README.md)")
    assert caught.value.skip


@pytest.mark.r("sva")
@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("parametric", {}),
        ("parametric_with_condition", {"covariates": True}),
        ("nonparametric", {"parametric": False}),
        ("mean_only", {"mean_only": True}),
        ("ref_batch0", {"reference": 0}),
    ],
)
def test_combat_equals_the_golden_run(case, options):
    given = golden("combat")
    if "covariates" in options:
        options = {"covariates": given["condition"][:, None]}
    np.testing.assert_allclose(combat_in_r(given["data"], batch=given["batch"], **options), given[case], atol=1e-10)


@pytest.mark.r("sva")
def test_combat_in_r_equals_our_own(counts):
    batch = np.arange(len(counts)) % 3
    in_r, own = ComBatInR(n_latent=3).fit(counts, batch), ComBat(n_latent=3).fit(counts, batch)
    np.testing.assert_allclose(in_r.correct(counts, batch), own.correct(counts, batch), atol=1e-8)
    assert in_r.latent(counts, batch).shape == (80, 3)
    one = np.zeros(len(counts))
    np.testing.assert_array_equal(in_r.correct(counts, one), own.correct(counts, one))


@pytest.mark.r("MAST")
@pytest.mark.parametrize("options", [{}, {"shrink": False}, {"normalise": True}])
def test_mast_equals_the_golden_run(options):
    given = golden("mast")
    case = "_".join(
        ["normalise" if "normalise" in options else "counts", "prior", "shrink"][: 3 - ("shrink" in options)]
    )
    group = given["group"]
    table = MASTInR(**options).compare(given["counts"], group, ~group)
    for name in set(table.columns) - {"score"}:
        np.testing.assert_allclose(table[name], given[f"{case}__{name}"], rtol=1e-8, atol=1e-8, err_msg=name)


@pytest.mark.r("MAST")
def test_mast_in_r_equals_our_own_with_batches(counts):
    group, batch = np.arange(len(counts)) % 2 == 0, np.arange(len(counts)) % 3
    in_r, own = (method.compare(counts, group, ~group, batch=batch) for method in (MASTInR(), MAST()))
    np.testing.assert_allclose(in_r["pvalue"], own["pvalue"], rtol=1e-5)
    np.testing.assert_allclose(in_r["log_fold_change"], own["log_fold_change"], rtol=1e-6, atol=1e-8)


@pytest.mark.r("SIMLR")
@pytest.mark.parametrize(("k", "kk"), [(30, 200), (10, 20)])
def test_simlr_equals_the_golden_run(k, kk):
    given = golden("simlr")
    counts = given["counts"]
    method = SIMLRInR(n_clusters=4, n_neighbors=k, n_components=kk, random_state=1).fit(counts)
    similarity = np.zeros((len(counts), len(counts)))
    np.put_along_axis(similarity, given[f"k{k}_kk{kk}__neighbor"].astype(int), given[f"k{k}_kk{kk}__S0"], axis=1)
    np.testing.assert_allclose(method.similarity_.toarray(), similarity, atol=1e-10)
    np.testing.assert_allclose(method.latent(counts), given[f"k{k}_kk{kk}__F"], atol=1e-10)
    np.testing.assert_allclose(method.kernel_weights_, given[f"k{k}_kk{kk}__alphaK"], atol=1e-10)
    assert method.clusters(counts).shape == method.embed(counts)[:, 0].shape == (len(counts),)


@pytest.mark.r("SIMLR")
def test_simlr_estimates_the_number_of_clusters():
    given = golden("simlr")
    method = SIMLRInR(n_clusters=None, n_neighbors=10, n_components=20).fit(given["counts"])
    assert method.n_clusters_ == given["candidates"][np.argmin(given["K1"])]


@pytest.mark.r("zinbwave")
def test_zinbwave_reaches_the_golden_fit():
    """The start is random, and fits from two starts of the golden runs lie 0.4 apart."""
    given = golden("zinbwave_disp10")
    counts = np.insert(golden("zifa")["counts"], 5, 0, axis=1)  # and a gene without counts
    method = ZINBWaVEInR(n_latent=2).fit(counts)
    expected = given["K2_fit_commondisp__loglik"] - given["K2_fit_commondisp__penalty"]
    assert method.objective_[0] == pytest.approx(expected, abs=1)
    assert method.zeta_ == pytest.approx(float(np.ravel(given["K2_fit_commondisp__zeta"])[0]), abs=0.05)
    assert np.isfinite(method.loglik(counts)).all()
    latent = method.latent(counts)
    assert np.abs(np.corrcoef(latent.T, method.W_.T)[:2, 2:]).max(axis=1).min() > 0.99


def test_zinbwave_keeps_what_the_package_found(counts, monkeypatch):
    """Without the package: what it would return, in the bridge's form, reaches the attributes and the likelihood."""
    silent = np.insert(counts, 5, 0, axis=1)
    python = ZINBWaVE(n_latent=2).fit(silent)
    genes = np.delete(np.arange(31), 5)

    def found(script, function, *, counts, **settings):
        assert counts.shape == (80, 30)
        assert settings == {"n_latent": 2, "max_iter": 25, "tol": 1e-4, "seed": 0}
        of_genes = {name: getattr(python, f"{name}_")[genes] for name in ("alpha_mu", "alpha_pi", "beta_mu", "beta_pi")}
        of_cells = {name: getattr(python, f"{name}_") for name in ("W", "gamma_mu", "gamma_pi")}
        return of_genes | of_cells | {"zeta": np.array([python.zeta_]), "objective": np.array([-1.0])}

    monkeypatch.setattr(bridge, "require", lambda script: None)
    monkeypatch.setattr(bridge, "call", found)
    method = ZINBWaVEInR(n_latent=2).fit(silent)
    for name in ("beta_mu_", "beta_pi_", "alpha_mu_", "alpha_pi_", "W_", "gamma_mu_", "gamma_pi_", "zeta_"):
        np.testing.assert_array_equal(getattr(method, name), getattr(python, name), err_msg=name)
    assert method.objective_ == [-1.0]
    np.testing.assert_array_equal(method.loglik(silent), python.loglik(silent))
