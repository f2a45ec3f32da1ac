"""Two programs side by side: turns, scores and refusals with stand-ins of known behaviour, then the real worker."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData
from matplotlib.figure import Figure

from experiments import parity, peers, speed
from experiments.figures import speed as drawing
from experiments.loop.job import Seeds
from scvi_core import SCVI
from scvi_core.bench.counts import simulate
from scvi_core.networks import Architecture, Network

SEEDS = Seeds(1, 2, 3)
SPLIT = {"split": {"train": 0.5, "test": 0.5, "random_state": None}}
STAND_IN = """
import sys, time
import numpy as np
from worker import Worker

class StandIn(Worker):
    def load(self, counts, heldout, parameters, weights):
        self.n_cells = int(np.load(counts)["shape"][0])
    def train(self, n_epochs, kl_warmup_epochs):
        print("what a library prints is no answer")
        for epoch in range(n_epochs):
            if epoch > 0:
                self.turn()
            time.sleep({seconds})
    def gemm_peak(self):
        return {{"peak": 2e9, "per_cell": 1e6}}
    def steps(self, n_steps, noise):
        return [{elbo} for _ in range(n_steps)]
    def elbo(self):
        return {elbo}
    def loglik(self, n_cells, n_samples):
        assert (n_cells, n_samples) == (500, 100)
    def latent(self, path=None):
        {latent}
        if path is not None:
            np.save(path, np.arange(self.n_cells)[:, None] % 2 * {scale})
    def impute(self, path=None):
        pass
    def compare(self, n_groups, n_draws):
        pass

StandIn(int(sys.argv[1])).serve()
"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Write the two programs; ours is ten times faster, and both say what they are told to."""

    def write(*, elbo=-100.0, scale=1.0, latent="pass"):
        shutil.copy(peers.FOLDER / "worker.py", tmp_path)
        ours = {"seconds": 0.02, "elbo": -99.0, "scale": 1.0, "latent": "pass"}
        theirs = {"seconds": 0.2, "elbo": elbo, "scale": scale, "latent": latent}
        for name, options in (("ours", ours), ("scvi_tools", theirs)):
            (tmp_path / f"{name}.py").write_text(STAND_IN.format(**options))
        monkeypatch.setattr(peers, "FOLDER", tmp_path)
        monkeypatch.setattr(peers, "PYTHON", sys.executable)
        monkeypatch.setattr(speed, "ROUNDS", 2)

    return write


def timed(peer="scvi-tools 0"):
    return speed.evaluate(SCVI(n_epochs=4), None, {}, SEEDS, shape="60x50:0.4", threads=1, peer=peer)


@pytest.mark.slow
def test_scores_are_those_of_the_two_programs(stand_ins):
    stand_ins()
    scores, _, facts = timed()
    assert 3 < scores["ratio_vs_scvi_tools"] < 12
    assert scores["ratio_vs_scvi_tools"] == pytest.approx(scores["cells_per_s"] / facts["cells_per_s_scvi_tools"])
    assert 200 < facts["cells_per_s_scvi_tools"] < 60 / 0.2
    assert facts["gemm_limit_cells_per_s"] == 2000
    assert scores["gemm_share"] == pytest.approx(scores["cells_per_s"] / 2000)
    assert (scores["elbo"], scores["elbo_scvi_tools"]) == (-99, -100)
    assert 0.5 < scores["memory_share"] < 2
    assert facts["n_rounds"] == 3  # the first epoch is not a round
    assert {f"{question}_ratio" for question in ("loglik", "compare", "latent", "impute")} < scores.keys()


@pytest.mark.slow
def test_other_weights_are_refused(stand_ins):
    stand_ins(scale=1.001)
    with pytest.raises(peers.PeerFailed, match="scvi_tools has other initial weights"):
        timed()


@pytest.mark.slow
def test_a_program_that_dies_is_named_with_what_it_said(stand_ins):
    stand_ins(latent="raise MemoryError('no room')")
    with pytest.raises(peers.PeerFailed, match=r"scvi_tools ended while asked to latent.*MemoryError: no room"):
        timed()


@pytest.mark.slow
def test_parity_is_the_difference_in_percent_and_in_clustering(stand_ins):
    stand_ins()
    adata = AnnData(sp.csr_matrix(np.ones((40, 3), dtype=np.int32)))
    train, _ = parity.train_test(adata, SPLIT, SEEDS)
    labels = np.full(40, "none")
    labels[train] = np.array(["a", "b"])[np.arange(20) % 2]  # as the stand-ins place the training cells
    adata.obs["label"] = pd.Categorical(labels)
    scores, _, _ = parity.evaluate(SCVI(n_epochs=2), adata, SPLIT, SEEDS, peer="scvi-tools 0")
    assert scores["difference_percent"] == pytest.approx(1)
    assert scores["step_difference"] == pytest.approx(1e4)
    assert (scores["ari"], scores["nmi"], scores["asw_scvi_tools"]) == (1, 1, 1)
    with pytest.raises(peers.PeerMissing, match="peers=install"):
        parity.evaluate(SCVI(), adata, SPLIT, SEEDS, peer="missing")


@pytest.mark.slow
def test_without_the_other_program_our_numbers_are_real(monkeypatch):
    """Training in turns is training: the bound is that of `SCVI.fit` in one go."""
    monkeypatch.setattr(speed, "ROUNDS", 1)
    method = SCVI(n_epochs=3, n_hidden=8, n_latent=2, lr=1e-2, kl_warmup_epochs=2, kl_warmup_of="z", random_state=4)
    shape = "300x40:0.4"
    scores, _, facts = speed.evaluate(method, None, {}, SEEDS, shape=shape, threads=1, peer="missing")
    assert not any("ratio" in name or "scvi_tools" in name for name in scores)
    X, _ = simulate(300 + speed.FEW, 40, 0.4, n_batches=1, seed=SEEDS.split)
    whole = method.fit(X[:300]).loglik(X[300:]).mean()
    assert scores["elbo"] == pytest.approx(whole, rel=1e-5)
    assert 0 < scores["gemm_share"] < 1
    assert facts["density"] == pytest.approx(0.4, abs=0.03)
    row = {"label": "scVI", "shape": shape, "threads": 1, "peer": "missing"} | scores | facts
    drawn = drawing.figure(None, pd.DataFrame([row]))["training"]
    assert isinstance(drawn, Figure)
    assert f"{scores['cells_per_s']:,.0f} cells/s" in drawn.alt
    assert drawn.axes[0].lines[0].get_xdata()[0] == 1  # the limit


def test_what_there_is_to_compare_with_stands_in_the_axes(monkeypatch, capsys):
    def axes(version, **options):
        monkeypatch.setattr(peers, "version", lambda: version)
        config = {"peers": None, "experiment": {"axes": {"shape": []}}} | options
        return config["experiment"]["axes"] | speed.prepare(config)

    assert axes("1.4.2") == {"shape": [], "peer": ["scvi-tools 1.4.2"]}
    assert capsys.readouterr().out == ""
    assert axes(None)["peer"] == ["missing"]
    assert "ratios are missing" in capsys.readouterr().out
    installed = []
    monkeypatch.setattr(peers, "install", lambda: installed.append(True))
    axes(None, peers="install")
    assert installed
    with pytest.raises(ValueError, match="peers=perhaps"):
        axes(None, peers="perhaps")


def test_names_are_those_of_scvi_tools():
    """The names in ``module.state_dict()`` of scvi-tools 1.4.2, two layers, ZINB, latent library size."""

    def layers(stem, n):
        inner = ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked")
        return {f"{stem}.fc_layers.Layer {i}.{name}" for i in range(n) for name in inner}

    heads = ["z_encoder.mean_encoder", "z_encoder.var_encoder", "l_encoder.mean_encoder", "l_encoder.var_encoder"]
    heads += ["decoder.px_scale_decoder.0", "decoder.px_dropout_decoder"]
    theirs = {f"{head}.{part}" for head in heads for part in ("weight", "bias")}
    theirs |= layers("z_encoder.encoder", 2) | layers("l_encoder.encoder", 1) | layers("decoder.px_decoder", 2)
    theirs |= {"px_r", "library_log_means", "library_log_vars"}  # and px_r_decoder, a head of another option
    assert {peers.scvi_tools._name(name) for name in Network(Architecture(5, n_layers=2)).state_dict()} == theirs
