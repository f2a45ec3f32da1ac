"""Rows, optimiser, warm-up, stopping and the guard."""

import copy
import math

import numpy as np
import pytest
import torch

from scvi_core import SCVI, InvalidCounts, TrainingDiverged
from scvi_core.data.counts import check_counts
from scvi_core.data.minibatch import replaced, shuffled, sliced
from scvi_core.engines.adam import Adam
from scvi_core.training import Stopping, warmup


def counts(n_cells=60, n_genes=8, seed=0):
    X = np.random.default_rng(seed).poisson(2.0, size=(n_cells, n_genes))
    X[:, 0] += 1
    return X


def small(**parameters):
    return SCVI(**{"n_hidden": 8, "n_latent": 2, "n_epochs": 4, "batch_size": 16, "engine": "plain"} | parameters)


@pytest.mark.parametrize(
    ("n_cells", "sizes"),
    [(256, [128, 128]), (257, [128, 129]), (258, [128, 128, 2]), (129, [129]), (2, [2]), (50, [50])],
)
def test_shuffled_sees_every_cell_once(n_cells, sizes):
    batches = shuffled(n_cells, 128, torch.Generator().manual_seed(0))
    assert [len(b) for b in batches] == sizes
    assert torch.equal(torch.cat(batches).sort().values, torch.arange(n_cells))


def test_replaced_is_the_authors_epoch():
    batches = replaced(2253, 128, torch.Generator().manual_seed(0))
    assert [len(b) for b in batches] == [128] * 16  # floor(2253 / 128) - 1
    assert len(torch.cat(batches).unique()) < 2048
    assert len(replaced(100, 128, torch.Generator())) == 1


def test_sliced_is_the_authors_epoch_on_brain_large():
    """x[128 * (t % n):128 * (t % n + 1)] with n = int(10000 / 128.) - 1."""
    batches = sliced(10_000, 128)
    assert [rows.tolist() for rows in batches] == [list(range(128 * t, 128 * (t + 1))) for t in range(77)]
    assert [rows.tolist() for rows in sliced(100, 128)] == [list(range(100))]


@pytest.mark.parametrize("n_cells", [33, 2, 17])
def test_lone_last_cell(n_cells):
    model = small(n_epochs=2).fit(counts(n_cells))
    assert np.isfinite(model.history_["loss"]).all()


def test_adam_is_that_of_torch():
    g = torch.Generator().manual_seed(0)
    start = [torch.randn(3, 4, generator=g, dtype=torch.float64), torch.randn(5, generator=g, dtype=torch.float64)]
    ours, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))
    a, b = Adam(ours, 1e-2, 0.01), torch.optim.Adam(theirs, 1e-2, eps=0.01)
    for _ in range(20):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=g, dtype=p.dtype)
            q.grad = p.grad.clone()
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


def test_warmup():
    assert [warmup(400)(e) for e in (0, 100, 400, 900)] == [0, 0.25, 1, 1]
    assert warmup(0)(0) == 1


@pytest.mark.parametrize(
    ("parameters", "weights"),
    [
        ({}, [0, 0.25, 0.5, 0.75, 1]),  # 4/5 of 5 epochs
        ({"kl_warmup_epochs": 2}, [0, 0.5, 1, 1, 1]),
        ({"kl_warmup_epochs": 0}, [1] * 5),
        ({"kl_warmup_epochs": math.inf}, [0] * 5),
        ({"kl_schedule": lambda epoch: 0.1 * epoch}, [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_kl_weights(parameters, weights):
    model = small(n_epochs=5, **parameters).fit(counts())
    assert model.history_["kl_weight"].tolist() == pytest.approx(weights)
    assert model._kl_weights(1)[1] == pytest.approx(weights[1])
    assert model.set_params(kl_warmup_of="z")._kl_weights(1)[1] == 1


@pytest.mark.parametrize("engine", ["plain", "fused"])
def test_an_endless_warm_up_trains_on_the_likelihood_alone(engine):
    options = {"n_epochs": 3, "lr": 1e-2, "engine": engine}
    endless = small(kl_warmup_epochs=math.inf, **options).fit(counts())
    without = small(kl_schedule=lambda epoch: 0.0, **options).fit(counts())
    np.testing.assert_array_equal(endless.latent(counts()), without.latent(counts()))
    assert not np.array_equal(endless.latent(counts()), small(**options).fit(counts()).latent(counts()))


def test_step_is_the_gradient_of_the_bound():
    """One step without Adam's memory: the parameters move against the numerical derivative of the loss."""
    from scvi_core.data.minibatch import Cells
    from scvi_core.elbo import bound
    from scvi_core.engines.plain import PlainStep, StepOptions
    from scvi_core.networks import Architecture, Network, draw_noise, initialise

    X, g = counts(20), torch.Generator().manual_seed(0)
    import scipy.sparse as sp

    arch = Architecture(n_genes=8, n_batches=2, n_latent=2, n_hidden=5)
    network = Network(arch).double()
    initialise(network, "torch", g)
    network.library_mean.fill_(2.5)
    cells = Cells(sp.csr_matrix(X), np.arange(20) % 2, dtype=torch.float64)
    rows, noise = torch.arange(20), draw_noise(arch, 20, g, torch.float64)

    def loss():
        network.train()
        return -bound(network, *cells.take(rows), noise).elbo(0.3, 0.6).mean().item()

    before = copy.deepcopy(network.state_dict())
    huge = 1e8  # with this epsilon the first step of Adam is -lr * gradient / epsilon
    step = PlainStep(network, cells, g, StepOptions(lr=huge, adam_eps=huge))
    value = step.step(rows, 0.3, 0.6, noise).item()
    after = copy.deepcopy(network.state_dict())
    network.load_state_dict(before)
    assert value == pytest.approx(loss(), rel=1e-12)
    for name, p in network.named_parameters():
        moved = (before[name] - after[name]).flatten()
        for i in {0, p.numel() // 2, p.numel() - 1}:
            old = p.data.view(-1)[i].item()
            p.data.view(-1)[i] = old + 1e-6
            up = loss()
            p.data.view(-1)[i] = old - 1e-6
            down = loss()
            p.data.view(-1)[i] = old
            assert moved[i].item() == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-6), name


def test_stopping_rules():
    network = torch.nn.Linear(1, 1, bias=False)
    losses = [5.0, 4.0, 4.5, 3.0, 3.5, 3.2, 3.1]

    def run(rule):
        network.weight.data.fill_(-1)
        values = iter(losses)
        stopping = Stopping(rule, 3, network, lambda weight_z, weight_l: next(values) * weight_z)
        for epoch in range(len(losses)):
            network.weight.data.fill_(epoch)
            stopping.update(1.0, 1.0)
            if stopping.done:
                break
        stopping.finish()
        return epoch, network.weight.item()

    assert run("authors") == (6, 6)  # counter: 0 0 1 0 1 2 3; the last parameters stay
    assert run("patience") == (6, 3)  # those of the best epoch come back


def test_stopping_losses():
    """The authors' loss carries the weights of the epoch, the usual one does not."""
    seen = []
    network = torch.nn.Linear(1, 1)
    for rule in ("authors", "patience"):
        Stopping(rule, 3, network, lambda *weights: seen.append(weights) or 1.0).update(0.2, 0.7)
    assert seen == [(0.2, 0.7), (1.0, 1.0)]


@pytest.mark.parametrize("rule", ["authors", "patience"])
def test_early_stopping_fits(rule):
    X = counts(80)
    model = small(early_stopping=rule, patience=2, n_epochs=300, lr=0.05).fit(X)
    history = model.history_
    assert len(history) < 300
    assert np.isfinite(history["validation_loss"]).all()
    if rule == "patience":
        best = small(early_stopping=rule, patience=2, n_epochs=int(history["validation_loss"].idxmin()) + 1, lr=0.05)
        best.set_params(kl_warmup_epochs=240).fit(X)  # the same schedule
        np.testing.assert_array_equal(best.latent(X), model.latent(X))
    given = small(early_stopping=rule).fit(X[:60], validation=(X[60:], None))
    assert np.isfinite(given.history_["validation_loss"]).all()


def test_guard_names_the_epoch_and_keeps_the_last_good_parameters():
    X = counts()
    weight = lambda epoch: math.nan if epoch == 2 else 1.0  # noqa: E731
    model = small(kl_schedule=weight)
    with pytest.raises(TrainingDiverged, match="epoch 2, step 0"):
        model.fit(X)
    good = small(kl_schedule=weight, n_epochs=2).fit(X)
    np.testing.assert_array_equal(model.latent(X), good.latent(X))
    assert len(model.history_) == 2


def test_guard_sees_parameters_that_blew_up():
    with pytest.raises(TrainingDiverged, match="lower lr"):
        small(lr=1e12, adam_eps=1e-8, n_epochs=20).fit(counts())


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize("in_training", [False, True])
def test_the_rest_of_a_network_normalises_as_it_is_told_and_is_not_moved(framework, in_training):
    import scipy.sparse as sp

    from scvi_core.data.minibatch import Cells
    from scvi_core.elbo import bound
    from scvi_core.engines.plain import PlainStep, StepOptions
    from scvi_core.networks import Architecture, Network, draw_noise, initialise

    g = torch.Generator().manual_seed(0)
    network = Network(Architecture(n_genes=8, n_batches=2, n_latent=2, n_hidden=5, framework=framework))
    initialise(network, "torch", g)
    cells, rows = Cells(sp.csr_matrix(counts(20)), np.arange(20) % 2), torch.arange(20)
    noise, twin = draw_noise(network.arch, 20, g), copy.deepcopy(network).train(in_training)
    twin.encoder_z.train()
    expected = -bound(twin, *cells.take(rows), noise).elbo(0.3, 0.6).mean().item()
    before = copy.deepcopy(network.state_dict())
    step = PlainStep(network, cells, g, StepOptions(), [network.encoder_z], in_training)
    assert step.step(rows, 0.3, 0.6, noise).item() == pytest.approx(expected, rel=1e-6)
    for name, value in network.state_dict().items():
        if "linear.bias" not in name:
            assert torch.equal(value, before[name]) != name.startswith("encoder_z"), name


@pytest.mark.parametrize(
    ("n_cells", "parameters", "batch", "n_held_out"),
    [
        (3, {}, None, 1),
        (2, {}, None, None),
        (10, {"validation_size": 0.9}, None, None),
        (4, {}, list("abbb"), 1),
        (4, {"validation_size": 0.5}, list("abbb"), 2),
        (4, {}, list("abcd"), None),
        (4, {"use_batch": False}, list("abcd"), 1),
    ],
)
def test_early_stopping_leaves_cells_to_train_on(n_cells, parameters, batch, n_held_out):
    """Two at least, and one of each batch, without which its prior would be nan; where that cannot be, a sentence."""
    for seed in range(3):
        model = small(early_stopping="patience", n_epochs=2, random_state=seed, **parameters)
        if n_held_out is None:
            with pytest.raises(InvalidCounts, match=rf"hold out \d of {n_cells} cells, .*: lower validation_size, "):
                model.fit(counts(n_cells), batch)
            continue
        model.fit(counts(n_cells), batch)
        assert np.isfinite(model.history_["validation_loss"]).all()
        assert model.network_.library_mean.isfinite().all()
    if n_held_out is not None:
        kept, _, held_out = model._hold_out(check_counts(counts(n_cells)), model._codes(batch, n_cells), None)
        assert (kept.shape[0], len(held_out)) == (n_cells - n_held_out, n_held_out)


def test_validation_cells_are_a_pair():
    with pytest.raises(ValueError, match="pass \\(counts, batch labels or None\\)"):
        small(early_stopping="patience").fit(counts(), validation=counts())


@pytest.mark.parametrize("weight", [None, "1", np.ones(2)])
def test_a_schedule_gives_numbers(weight):
    with pytest.raises(ValueError, match=r"kl_schedule\(0\) is .* a number"):
        small(kl_schedule=lambda epoch: weight).fit(counts())
