"""Which names are those of cells and which those of genes."""

import re

CELL = re.compile(
    r"""(.*[^A-Za-z])?[ACGTN]{8,}([^A-Za-z].*)?     # a barcode, with or without a sample before or after it
    | (cell|c|barcode|bc|spot|well|sample|nucleus)s?[ _.-]?\d+([^A-Za-z].*)?
    | [SED]RR\d{5,} | GSM\d{5,}.* | SAM[NED]\w*\d+
    | (.*[_.-])?[A-P](0?[1-9]|1\d|2[0-4])           # a well of a plate
    """,
    re.VERBOSE | re.IGNORECASE,
)
GENE = re.compile(
    r"""ENS[A-Z]{0,6}G\d+(\.\d+)?([_|-].*)? | FBgn\d+ | WBGene\d+ | AT[1-5MC]G\d{5} | Y[A-P][LR]\d{3}[WC](-\w)?
    | (gene|g|feature)s?[ _.-]?\d+
    | (GRCh38|GRCm38|GRCm39|hg19|hg38|mm10|mm9|human|mouse|premrna)_+\S+
    | mt-\w+ | RP[LS]\d+[AXYL]?\d* | HLA-\w+ | ERCC-\d+ | LINC\d+ | LOC\d+ | Gm\d{3,} | \d{7}[A-P]\d\dRik
    | (AC|AL|AP)\d{6}\.\d+
    | CD\d+[A-Z]? | ZNF\d+ | MIR\d+\w* | SNOR[AD]\d+\w* | HIST\d\w+ | SLC\d+A\d+ | TMEM\d+\w? | IL\d+R?\w?
    | KRT\d+ | COL\d+A\d | CCL\d+ | CXCL\d+ | IG[HKL][VCJ]?\w* | TR[ABDG][VCJ]\w*
    | (ACTB|GAPDH|B2M|MALAT1|NEAT1|XIST|EEF1A1|TMSB4X|TMSB10|PTPRC|LYZ|NKG7|MS4A1|GNLY|PPBP|FCGR3A|EPCAM|VIM|FTL|FTH1
      |TP53|MYC|SOX2|POU5F1|NANOG|GATA[1-6]|FOXP3|PAX6|SNAP25|GAD[12]|MBP|PLP1|GFAP|AQP4|SST|PVALB|VIP|TUBB3|APOE|JUNB?
      |FOSB?|HBB|HBA[12]|INS|GCG|ALB|PECAM1|CST3|S100A\d+|UBC|HPRT1?|MKI67|TOP2A)
    """,
    re.VERBOSE | re.IGNORECASE,
)
SYMBOL = re.compile(r"[A-Z][A-Z0-9]{1,11}([.-][A-Z0-9]+)*|[A-Z][a-z0-9]{1,11}|\d{7}[A-P]\d\dRik")
CORNERS = {
    "cells": {"cell", "cells", "cell_id", "cellid", "cell_name", "barcode", "barcodes", "cell_barcode", "spot"},
    "genes": {
        "gene",
        "genes",
        "gene_id",
        "geneid",
        "gene_name",
        "gene_symbol",
        "symbol",
        "feature",
        "ensembl",
        "ensembl_id",
    },
}  # what the corner of a table calls the names below it
OTHER = {"cells": "genes", "genes": "cells"}
MANY = 1000  # names that are looked at


def looks_like(names, others, corner=""):
    """Whether ``names`` are those of "cells" or of "genes", beside the ``others`` of the other axis; None if unclear.

    Parameters
    ----------
    names, others : sequence of str
    corner : str
        What a table writes above the ``names``.
    """
    votes = {kind for kind, words in CORNERS.items() if corner.strip().lower().replace(" ", "_") in words}
    votes |= {evidence(names), OTHER.get(evidence(others))} - {None}
    if not votes:
        symbols = _share(SYMBOL, names), _share(SYMBOL, others)
        if max(symbols) > 0.8 and min(symbols) < 0.2:
            votes = {"genes" if symbols[0] > symbols[1] else "cells"}
    return votes.pop() if len(votes) == 1 else None


def evidence(names):
    """What names say by themselves, nearly all of them or some that nothing else has: "cells", "genes" or None."""
    cells, genes = _share(CELL, names), _share(GENE, names)
    if cells > 0.5 and cells > genes:
        return "cells"
    known = genes * min(len(names), MANY)
    return "genes" if genes > 0.5 or (known >= 2 and genes > 2 * cells) else None


def _share(form, names):
    names = list(names[:: max(1, len(names) // MANY)])[:MANY]
    return sum(form.fullmatch(str(name).strip()) is not None for name in names) / max(1, len(names))
