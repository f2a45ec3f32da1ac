"""Fig 6 and 13: what the scaling factor and the two zero probabilities go with."""

import numpy as np

from ..metrics.technical import binomial_zero, hypergeometric_zero
from ..plots import technical as plots
from ..technical import FREQUENT, HISTOGRAM, N_MOLECULES, PART_NAMES, QUALITY_NAMES
from . import of_finished

ALIGNMENT = ("mapped_reads", "genome_not_gene")  # the others go with the size of the library
FREQUENCIES = np.logspace(-6, np.log10(FREQUENT), 200)  # where the curves of Fig 6b are drawn


@of_finished
def figure(table, records):
    """Return {name: Figure}: Fig 6a, 6b, 6c/d, 13a and 13b–d, the methods and the control side by side."""
    first = list(records[records["seed"] == records["seed"].min()].itertuples())
    row = first[0]
    curves = {}
    for name, at in {"hypergeometric": {"n_in_cell": max(N_MOLECULES, row.mean_umi)}, "binomial": {}}.items():
        function = {"hypergeometric": hypergeometric_zero, "binomial": binomial_zero}[name]
        curves[name] = FREQUENCIES, function(frequency=FREQUENCIES, n_drawn=row.mean_umi, **at)
    figures = {
        "scaling_factor": plots.scaling_factor(first),
        "zeros": plots.zeros(first, curves, n_molecules=N_MOLECULES, frequent=FREQUENT),
        "quality": plots.quality(records, QUALITY_NAMES, ALIGNMENT, list(PART_NAMES.values())),
        "nb_share": plots.nb_share(first, HISTOGRAM),
    }
    trained = [panel for panel in first if panel.role != "control"]
    if trained:
        figures["zero_probabilities"] = plots.zero_probabilities(trained, QUALITY_NAMES, ALIGNMENT)
    return figures
