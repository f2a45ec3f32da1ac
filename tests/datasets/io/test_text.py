"""Text tables in every dialect, and which of their sides are the cells."""

import gzip

import numpy as np
import pandas as pd
import pytest

from datasets.base import InvalidDataset
from datasets.io import formats
from datasets.io.formats.orientation import looks_like

COUNTS = np.array([[1, 0, 20], [0, 3, 0], [4, 0, 9], [0, 0, 1]])
CELLS = ["AAACAAAC-1", "AAAGAAAC-1", "AAATAAAC-1", "AACCAAAC-1"]
GENES = ["Tspan12", "Actb", "mt-Co1"]
FRAME = pd.DataFrame(COUNTS, index=CELLS, columns=GENES)


def same(table, cells=CELLS, genes=GENES):
    np.testing.assert_array_equal(table.X.toarray(), COUNTS)
    assert list(table.cells) == list(cells)
    assert list(table.genes) == list(genes)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sep": ";"},
        {"sep": "\t"},
        {"sep": "|"},
        {"sep": " ", "index_label": False, "quoting": 2},  # R's write.table
        {"sep": " ", "index_label": "id"},
        {"encoding": "utf-8-sig"},  # Excel
        {"encoding": "utf-8-sig", "index_label": False},
        {"encoding": "utf-16", "sep": "\t"},
        {"quoting": 1},
        {"lineterminator": "\r\n"},
        {"lineterminator": "\r", "sep": ";"},
        {"float_format": "%.1f"},
    ],
)
def test_every_dialect_is_read_as_it_was_written(tmp_path, options):
    frame = FRAME.astype(float) if "float_format" in options else FRAME
    frame.to_csv(tmp_path / "cells.txt", **options)
    same(formats.read(tmp_path / "cells.txt"))
    frame.T.to_csv(tmp_path / "genes.txt.gz", **options)
    same(formats.read(tmp_path / "genes.txt.gz"))


def test_names_with_separators_quotes_and_spaces(tmp_path):
    cells, genes = ["T cell, CD4+", 'the "odd" one', "B cell", "x;y"], ["Actb", "Gm1234, like", "mt-Co1"]
    pd.DataFrame(COUNTS, index=cells, columns=genes).to_csv(tmp_path / "x.csv")
    same(formats.read(tmp_path / "x.csv", genes_in="columns"), cells, genes)


@pytest.mark.parametrize("before", ["sep=;\n", "\n\n", "# written by hand\n# today, at noon\n"])
def test_lines_before_the_header(tmp_path, before):
    (tmp_path / "x.csv").write_text(before + FRAME.to_csv(sep=";"))
    same(formats.read(tmp_path / "x.csv"))


@pytest.mark.parametrize(
    ("cells", "genes"),
    [
        (["c0", "c1", "c12"], ["g0", "g1", "g12"]),
        (["cell_1", "cell_2"], ["gene_1", "gene_2"]),
        (["AAACATACAACCAC-1", "AAACATTGAGCTAC-1"], ["ENSG00000243485", "ENSG00000186092.4"]),
        (["1772071015_C02", "1772071017_G12"], ["Tspan12", "Tshz1", "Fnbp1l"]),
        (["P1_AAACATACAACCAC", "P2_AAACATTGAGCTAC"], ["MIR1302-10", "FAM138A", "RP11-34P13.7"]),
        (["SRR1234567", "SRR1234568"], ["YAL001C", "YBR021W"]),
        (["0", "1", "2"], ["GAPDH", "CD3E", "MS4A1"]),
        (["human1_lib1.final_cell_0001", "human1_lib1.final_cell_0002"], ["A1BG", "A1CF", "INS", "GCG"]),
        (["A1", "A2", "H12"], ["FBgn0031208", "FBgn0002121"]),
    ],
)
def test_cells_and_genes_are_told_apart_by_their_names(cells, genes):
    assert looks_like(cells, genes) == "cells"
    assert looks_like(genes, cells) == "genes"


def test_what_cannot_be_told_is_asked(tmp_path):
    for names in ((["a", "b"], ["x", "y"]), (["0", "1"], ["0", "1"]), (["g1", "g2"], ["g3", "g4"])):
        assert looks_like(*names) is None
    pd.DataFrame(COUNTS, index=list("abcd"), columns=list("xyz")).to_csv(tmp_path / "x.csv")
    with pytest.raises(
        InvalidDataset, match=r"do not tell cells from genes \(rows a, b, …; columns x, y, …\): set dataset\.genes_in"
    ):
        formats.read(tmp_path / "x.csv")
    same(formats.read(tmp_path / "x.csv", genes_in="columns"), "abcd", "xyz")
    pd.DataFrame(COUNTS, index=list("abcd"), columns=list("xyz")).to_csv(tmp_path / "x.csv", index_label="barcode")
    same(formats.read(tmp_path / "x.csv"), "abcd", "xyz")


def test_a_table_without_names_of_cells_is_refused(tmp_path):
    pd.DataFrame(COUNTS, columns=["g1", "g2", "g3"]).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(InvalidDataset, match=r"The first column of .*, 'g1', holds counts where names belong"):
        formats.read(tmp_path / "x.csv")
    FRAME.to_csv(tmp_path / "x.csv", header=False)
    with pytest.raises(InvalidDataset, match=r"The first row of .*, 'AAACAAAC-1', holds counts where names belong"):
        formats.read(tmp_path / "x.csv")
    pd.DataFrame(COUNTS, columns=["g1", "g2", "g3"]).to_csv(tmp_path / "x.csv")  # numbered cells
    same(formats.read(tmp_path / "x.csv"), "0123", ["g1", "g2", "g3"])


def test_text_in_another_encoding(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress("cell,Körner\nc1,1\n".encode("latin-1")))
    with pytest.raises(InvalidDataset, match=r"neither text in UTF-8 nor .*: save it as UTF-8"):
        formats.read(tmp_path / "x.csv.gz")
