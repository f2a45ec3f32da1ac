"""The table of the methods follows conf/method/ and the classes."""

from baselines.table import FOLDER, table


def test_every_row_is_there_once():
    rows = [line.removeprefix("  rows").strip() for line in table().splitlines() if line.startswith("  rows")]
    assert sorted(", ".join(rows).split(", ")) == sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_a_paragraph_says_what_the_class_says(tmp_path):
    (tmp_path / "mine.yaml").write_text("_target_: baselines.pca.PCA\n")
    (tmp_path / "variant.yaml").write_text("defaults:\n  - mine@_here_\n  - _self_\nn_latent: 3\n")
    assert table(tmp_path).splitlines() == [
        "baselines.pca.PCA: PCA of log(1 + counts), without size-factor normalisation, as the paper runs it.",
        "  rows     mine, variant",
        "  answers  latent, impute, loglik, marginal_loglik",
        "  cost     n^1.1 G^1.1 (1000 × 400: 0.02 s)",
    ]
