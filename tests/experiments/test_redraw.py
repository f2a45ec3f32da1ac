"""Tables from the rows of their jobs: what the run itself would have written."""

import io
import json

import pandas as pd

from experiments import imputation
from experiments.report import redraw, table
from experiments.scores import published


def test_the_table_of_a_run_comes_back_from_its_jobs(tmp_path):
    rows = [
        {
            "experiment": "imputation",
            "dataset": "cortex",
            "protocol": "as_run",
            "method": label.lower(),
            "label": label,
            "role": role,
            "seed": seed,
            "key": f"{label}{seed}",
            "corruption": corruption,
            "status": "failed" if (label, seed) == ("FA", 2) else "done",
            "reason": "NA" if (label, seed) == ("FA", 2) else "",
            "median_l1": None if (label, seed) == ("FA", 2) else 2.0 + 0.1 * seed,
        }
        for label, role in (("scVI", "method"), ("FA", "method"), ("None", "control"))
        for corruption in ("uniform", "binomial")
        for seed in range(3)
    ]
    jobs = pd.DataFrame(rows)
    run = {"stem": "a_run", "axes": ["corruption"], "source": {"origin": "Counts, not the paper’s."}}
    run["config"] = {
        "experiment": {"name": "imputation", "module": "experiments.imputation"},
        "dataset": {"name": "cortex", "published_as": "CORTEX"},
        "scale": {"max_cells": None},
    }
    (tmp_path / "tables").mkdir()
    jobs.to_csv(tmp_path / "tables" / "a_run_jobs.csv", index=False)
    (tmp_path / "a_run.json").write_text(json.dumps(run))
    path = redraw.write(tmp_path / "a_run.json", tmp_path)
    scores = published(imputation.SCORES, jobs)
    expected = table.summarise(jobs, ["corruption"], scores, "CORTEX", "Counts, not the paper’s.")
    assert expected["published"].notna().sum() == 2  # Fig 9b and 11a have scVI alone
    pd.testing.assert_frame_equal(pd.read_csv(path), pd.read_csv(io.StringIO(expected.to_csv(index=False))))
    run["config"]["scale"]["max_cells"] = 300  # a part of the data: the paper has no value for it
    assert redraw.summary(run, redraw.read_jobs(tmp_path, {"stem": "a_run"}))["published"].isna().all()
