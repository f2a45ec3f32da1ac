"""The page: every number of the tables is on it, it stands alone, and nothing that a run leaves can break it."""

import base64
import itertools
import json
import math
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.plots.bars import score_bars
from experiments.report import claims, table
from experiments.report import page as report
from experiments.report import results as in_folder

VOID = {"meta", "img", "br", "input", "link", "hr"}
METHODS = {
    "scvi": ("scVI", "method"),
    "fa": ("FA", "method"),
    "zinb": ("ZINB-WaVE", "method"),
    "identity": ("identity", "control"),
}
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a' b & c</td>", "{{ 7 * 7 }}"]


class Page(HTMLParser):
    """A strict reading of a page: balanced tags, attributes of each, text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"an attribute twice in <{tag}>"
        self.tags.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> in the wrong place"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes, _ in self.tags if name == tag]


def make_run(
    folder,
    *,
    dataset="cortex",
    protocol="as_written",
    tag="",
    methods=METHODS,
    stand_in_for=None,
    shift=0.0,
    reason="R is not installed",
    alters=None,
    published_as="CORTEX",
):
    """What a run leaves behind, through the real table and plots; returns its stem and its summary."""
    rng, records = np.random.default_rng(0), []
    for method, (label, role) in methods.items():
        for corruption in ("uniform", "binomial"):
            for seed in range(3):
                failed = method == "zinb"
                score = 6.0 if role == "control" else 2.3 + shift + 0.02 * rng.normal()
                scores = {} if failed else {"median_l1": score}
                record = {"experiment": "imputation", "dataset": dataset, "protocol": protocol, "method": method}
                record |= {"label": label, "role": role, "seed": seed, "key": f"{method}-{corruption}-{seed}"}
                record |= {"axes": {"corruption": corruption}, "status": "failed" if failed else "done"}
                record |= {"reason": reason if failed else "", "scores": scores, "facts": {"n_scored": 1234}}
                records.append(record | {"seconds": {"total": 61.0 + seed}, "peak_memory_mb": 345.6})
    jobs = table.frame(records)
    summary = table.summarise(jobs, ["corruption"], {"median_l1": "median_L1_{corruption}"}, published_as)
    alters = bool(tag) if alters is None else alters
    stem = "_".join(filter(None, ["imputation", dataset.replace("/", "-"), protocol, tag]))
    for name in ("tables", "runs", "figures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    summary.to_csv(folder / "tables" / f"{stem}.csv", index=False)
    jobs.to_csv(folder / "tables" / f"{stem}_jobs.csv", index=False)
    figure = score_bars(summary[summary["corruption"] == "uniform"], "median_l1")
    figure.savefig(folder / "figures" / f"{stem}_error_uniform.png", format="png", dpi=50)
    run = {"stem": stem, "tag": tag, "alters": alters, "axes": ["corruption"], "figures": [f"{stem}_error_uniform"]}
    run["source"] = {
        "name": dataset,
        "origin": f"Counts of {dataset}, not the paper’s.",
        "sha256": "ab" * 32,
        "steps": ["kept 558 genes"],
    }
    run["config"] = {
        "experiment": {
            "name": "imputation",
            "module": "experiments.imputation",
            "axes": {"corruption": ["uniform", "binomial"]},
        },
        "dataset": {"name": dataset, "stand_in_for": stand_in_for, "published_as": published_as},
        "protocol": {"name": protocol},
        "methods": {"scvi": {"n_latent": 10}},
        "seeds": [0, 1, 2],
        "data_dir": "/home/somebody",
    }
    run["provenance"] = {
        "dataset_hash": ["cd" * 32],
        "git_commit": ["0123abc"],
        "threads": [1, 2],
        "r_session": [],
        "versions": [{"python": "3.11.7", "torch": "2.13.0"}],
        "machine": [{"cpu": "a processor", "cores": 2}],
    }
    (folder / "runs" / f"{stem}.json").write_text(json.dumps(run))
    return stem, summary


def read(folder):
    return Page(report.write(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for protocol in ("as_run", "as_written"):
        make_run(folder, protocol=protocol)
    make_run(folder, tag="methods.scvi.n_latent=5", shift=1.0)
    make_run(folder, dataset="odd", tag="methods.fa.note=50%25#1?")
    make_run(folder, dataset="standin_pbmc", stand_in_for="A stand-in for PBMC: half of its cells.")
    return folder


def test_every_number_of_the_tables_is_on_the_page(results, tmp_path):
    _, summary = make_run(tmp_path)
    page, checked = read(tmp_path), 0
    words = page.text.split()
    for row in summary.itertuples():
        for value in (row.mean, row.ci_low, row.ci_high, row.published):
            if math.isfinite(value):
                assert f"{value:.3f}" in words
                checked += 1
        if math.isfinite(row.vs_scvi):
            assert f"({row.vs_scvi_low:+.3f} to {row.vs_scvi_high:+.3f})".replace("-", "−") in page.text
    assert checked >= 20
    for sentence in ("Counts of cortex, not the paper’s.", "kept 558 genes", "R is not installed"):
        assert sentence in page.text
    for fact in ("ab" * 32, "cd" * 32, "0123abc", "torch 2.13.0", "cpu a processor", '"n_latent": 10'):
        assert fact in page.text
    assert "1 min 02 s" in page.text
    assert "346" in words
    assert "uniform corruption: 0, 1, 2" in page.text
    assert "somebody" not in page.text


def test_protocols_stand_beside_each_other_under_one_published_value(results):
    page = report.write(results).read_text(encoding="utf-8")
    (row,) = [line for line in page.split("<tr ") if line.startswith('id="fig-9-cortex-median_l1-scvi"')]
    row = row.split("</tr>")[0]
    assert row.count("2.325") == 1  # Fig 9b
    assert row.count("95% interval") == 0
    assert row.count("n = 3") == 2  # as written and as run; the run with other parameters stands with the rest
    assert page.count('id="more-imputation-cortex-methods-scvi-n_latent-5-median_l1-uniform-corruption-scvi"') == 1


def test_the_seeds_behind_a_mean_are_there(tmp_path):
    stem, _ = make_run(tmp_path)
    jobs = (tmp_path / "tables" / f"{stem}_jobs.csv").read_text().splitlines()
    column = jobs[0].split(",").index("median_l1")
    seeds = [f"{float(line.split(',')[column]):.3f}" for line in jobs[1:] if ",FA," in line and ",uniform," in line]
    assert len(seeds) == 3
    assert f"seeds: {', '.join(seeds)}" in read(tmp_path).text


def test_every_published_number_is_on_the_page_with_ours_or_a_reason(results):
    page = read(results)
    rows = [row["id"] for row in page.all("tr") if row.get("id", "").startswith("published-")]
    assert len(rows) == len(set(rows)) == 674
    assert "2 of 674 published numbers have one of ours beside them" not in page.text
    told = page.text.split("Every published number", 2)[2]
    assert "Fig 9b (and d in Fig 2) CORTEX scVI median_L1_uniform 2.325 2.3" in told


def test_results_of_a_user_come_first_and_without_statements_that_are_not_about_them(tmp_path):
    make_run(tmp_path, dataset="mine", published_as=None)
    page = read(tmp_path)
    assert page.text.index("Imputation mine") < page.text.index("Contents")
    assert "What the paper says" not in page.text  # of the methods that it names none was run
    assert "Every published number" not in page.text
    assert {row["data-dataset"] for row in page.all("tr") if "data-dataset" in row} == {"mine"}


def test_of_the_parts_of_a_run_the_fullest_speaks_where_there_is_no_whole():
    def run(tag, n_done, alters=False, data="a"):
        jobs = [{"status": "done"}] * n_done + [{"status": "failed"}] * 9
        same = {"experiment": "imputation", "dataset": "cortex", "protocol": "as_written", "flip": []}
        return same | {"tag": tag, "alters": alters, "data": data, "jobs": jobs}

    parts = [run("seeds=0", 3), run("without=pca", 5), run("seeds=1", 4), run("methods.pca.n_latent=2", 9, alters=True)]
    assert [run["tag"] for run in in_folder.fullest(parts)] == ["without=pca"]
    assert [run["tag"] for run in in_folder.fullest([*parts, run("", 1)])] == [""]
    assert [run["tag"] for run in in_folder.fullest([*parts, run("data=b", 1, data="b")])] == ["without=pca", "data=b"]


def test_page_stands_alone(results):
    stored = {path.read_bytes() for path in (results / "figures").glob("*.png")}
    path = report.write(results, single_file=True)
    images = Page(path.read_text(encoding="utf-8")).all("img")
    assert {base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in images} == stored
    page = read(results)
    shown = {(results / "report" / unquote(image["src"])).read_bytes() for image in page.all("img")}
    assert shown == stored
    assert page.all("link") == []
    assert all("src" not in script for script in page.all("script"))
    text = path.read_text(encoding="utf-8")
    for address in ("http://", "https://", "url(", "@import", 'src="//', 'href="//'):
        assert address not in text
    ids = {attributes["id"] for _, attributes, _ in page.tags if "id" in attributes}
    links = [attributes["href"] for attributes in page.all("a")]
    assert len(links) > 12
    for link in links:
        if link.startswith("#"):
            assert unquote(link[1:]) in ids
        else:
            assert (results / "report" / unquote(link)).resolve().is_file()


def test_page_is_sound_and_accessible(results):
    page = read(results)
    assert page.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes, _ in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert all(len(image["alt"]) > 30 and image["width"] and image["height"] for image in page.all("img"))
    assert all(header.get("scope") in ("col", "row", "rowgroup", "colgroup") for header in page.all("th"))
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    assert "published 2.33" in page.all("img")[0]["alt"]


def test_page_is_a_function_of_the_results(results):
    first = report.write(results).read_bytes()
    assert report.write(results).read_bytes() == first
    assert [path.name for path in (results / "report").iterdir()] == ["index.html"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_are_shown_never_obeyed(tmp_path, hostile):
    make_run(tmp_path, dataset=hostile, methods={"scvi": (hostile, "method"), "zinb": ("Z", hostile)}, reason=hostile)
    page = read(tmp_path)
    assert len(page.all("script")) == 1
    assert len(page.all("img")) == 1
    assert not [name for _, attributes, _ in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count(" ".join(hostile.split())) > 3
    assert {row["data-method"] for row in page.all("tr") if row.get("data-method")} == {hostile, "Z"}


def test_a_missing_or_damaged_file_is_named_and_breaks_nothing_else(tmp_path):
    stem, _ = make_run(tmp_path)
    other, _ = make_run(tmp_path, protocol="as_run")
    (tmp_path / "figures" / f"{stem}_error_uniform.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    (tmp_path / "tables" / f"{stem}.csv").unlink()
    (tmp_path / "tables" / f"{stem}_jobs.csv").write_bytes(b"\xff\xfe\x00broken")
    (tmp_path / "runs" / "broken.json").write_text('{"stem": "bro')
    (tmp_path / "runs" / "empty.json").write_text("[]")
    page = read(tmp_path)
    for name in (f"figures/{stem}_error_uniform.png", f"tables/{stem}.csv", f"tables/{stem}_jobs.csv"):
        assert f"{name} cannot be read" in page.text
    assert "runs/broken.json cannot be read" in page.text
    assert "runs/empty.json cannot be read" in page.text
    assert len(page.all("img")) == 1
    assert f"../tables/{other}.csv" in [unquote(link["href"]) for link in page.all("a")]


DAMAGE = [
    "",
    "[]",
    "{}",
    "null",
    "3",
    "[" * 100_000,
    '"x"',
    "\x00",
    '{"a": 1e999}',
    "a,b\n1,2,3\n",
    "label,status\n1\n",
]


def values_in(node):
    """Every value inside plain lists and dicts, as (where it is kept, under which key)."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from values_in(node[key])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_what_a_run_left_breaks_the_page(results, data):
    """Values of a summary replaced, bytes of any file overwritten: the rest of the page stands."""
    stem = "imputation_odd_as_written_methods.fa.note=50%25#1?"
    files = [f"runs/{stem}.json", f"tables/{stem}.csv", f"tables/{stem}_jobs.csv", f"figures/{stem}_error_uniform.png"]
    path = results / data.draw(st.sampled_from(files), label="file")
    whole = path.read_bytes()
    if path.suffix == ".json" and data.draw(st.booleans(), label="a value"):
        content = json.loads(whole)
        places = list(values_in(content))
        node, key = places[data.draw(st.integers(0, len(places) - 1), label="place")]
        node[key] = data.draw(st.sampled_from([None, 3, "../../x", [], {}, [1], {"a": 1}, math.inf]), label="new")
        damaged = json.dumps(content).encode()
    else:
        start = data.draw(st.integers(0, len(whole)), label="from")
        stop = data.draw(st.integers(start, len(whole)) | st.just(start), label="to")
        damaged = whole[:start] + data.draw(st.binary(max_size=20), label="new bytes") + whole[stop:]
    if data.draw(st.integers(0, 9), label="all of it") == 0:
        damaged = data.draw(st.sampled_from(DAMAGE)).encode()
    try:
        path.write_bytes(damaged)
        page = read(results)
    finally:
        path.write_bytes(whole)
    assert "imputation: CORTEX, as run" in page.text


def test_a_summary_reads_no_files_but_its_own(tmp_path):
    stem, _ = make_run(tmp_path / "results")
    other, _ = make_run(tmp_path, dataset="secret")
    path = tmp_path / "results" / "runs" / f"{stem}.json"
    run = json.loads(path.read_text())
    for change in ({"stem": f"../../tables/{other}"}, {"figures": [f"../../figures/{other}_error_uniform"]}):
        path.write_text(json.dumps(run | change))
        page = read(tmp_path / "results")
        assert "it speaks of files that are not its own" in page.text
        assert "secret" not in page.text.replace(str(tmp_path), "").replace(path.name, "")
        assert page.all("img") == []


def test_what_a_run_says_of_itself_is_on_the_page(tmp_path):
    stem, _ = make_run(tmp_path)
    path = tmp_path / "runs" / f"{stem}.json"
    notes = ["the figure 'a' of mine cannot be drawn: KeyError: 'x'.", "scVI, 2 of 3 jobs: <not> converged."]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"notes": notes}))
    text = read(tmp_path).text
    assert all(note in text for note in notes)


def test_no_run_yet(tmp_path):
    assert "scVI reproduced" in read(tmp_path).text


def test_stand_in_data_never_count_as_a_reproduction(tmp_path):
    make_run(tmp_path, stand_in_for="A stand-in for CORTEX: other cells.", dataset="standin_cortex")
    page = read(tmp_path)
    assert "other data." in page.text.split("published numbers have one of ours beside them: ")[1][:40]
    assert "Stand-in data. A stand-in for CORTEX: other cells." in page.text
    assert "reproduced" not in [span.get("class", "").removeprefix("v ") for span in page.all("span")]


def test_statements_of_the_paper_are_answered_by_the_runs(tmp_path, monkeypatch):
    claim = {"section": "2.4", "experiment": "imputation", "score": "median_l1"}
    said = [claim | {"says": "scVI imputes better", "better": ["identity", "BISCUIT"], "exhibit": "fig-9"}]
    said += [claim | {"says": "scVI is quick", "experiment": "runtime", "better": ["identity"]}]
    said += [
        claim | {"says": f"{label} imputes best", "of": label, "better": ["scVI"]} for label in ("identity", "nobody")
    ]
    monkeypatch.setattr(claims, "read", lambda: said)
    make_run(tmp_path)
    make_run(tmp_path, tag="methods.scvi.n_latent=5")  # variants do not speak for the paper
    make_run(tmp_path, tag="seeds=0", alters=False)  # nor does a part, beside the whole
    text = read(tmp_path).text
    overview = text.split("What the paper says", 1)[1].split("Contents")[0]
    assert "Of 2 statements 1 hold in every run, 1 is contradicted in every run, 0 depend on the run" in overview
    assert "Answers: 2; hold: 1, contradicted: 1, undecided: 0" in overview
    assert "No run here speaks of 2 further statements." in overview
    assert "scVI imputes better (2.4) holds CORTEX ( as written )" in overview
    assert "identity imputes best (2.4) contradicted CORTEX ( as written )" in overview
    first = text.split("scVI imputes better (section 2.4)")[1].split("method published")[0]
    assert first.count("CORTEX as written holds") == 1
    assert first.count("identity (uniform): scVI ahead by 3.") == 1
    assert first.count("identity (binomial): scVI ahead by 3.") == 1
    assert "BISCUIT: not run" in first
    second = overview.split("identity imputes best (section 2.4)")[1]  # it is in no exhibit: its evidence stands here
    assert second.count("scVI (uniform): identity behind by 3.") == 1
    assert "scVI is quick" not in text
    assert "nobody" not in text


def test_the_overview_has_each_answer_once_by_verdict_and_data_set(tmp_path, monkeypatch):
    claim = {"says": "scVI imputes better", "section": "2.4", "experiment": "imputation", "score": "median_l1"}
    monkeypatch.setattr(claims, "read", lambda: [claim | {"better": ["identity"]}])
    for dataset, protocol in (("cortex", "as_run"), ("cortex", "as_written"), ("standin_pbmc", "as_written")):
        make_run(
            tmp_path, dataset=dataset, protocol=protocol, stand_in_for="Half of it." if "standin" in dataset else None
        )
    verdicts = {"as_run": "holds", "as_written": "undecided"}
    monkeypatch.setattr(claims, "judge", lambda claim, jobs, axes: (verdicts[jobs[0]["protocol"]], []))
    overview = read(tmp_path).text.split("What the paper says", 1)[1].split("Contents")[0]
    assert "Of 1 statements 0 hold in every run, 0 are contradicted in every run, 1 depend on the run" in overview
    assert "Answers: 3;" in overview
    assert overview.count("holds CORTEX ( as run )") == 1
    assert overview.count("undecided CORTEX ( as written ), pbmc4k, in place of PBMC* ( as written )") == 1
