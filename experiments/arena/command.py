"""The settings of every run that the arena needs, composed as ``experiments.run`` composes one."""

import contextlib
import re
from typing import NamedTuple

import hydra
import yaml
from omegaconf import OmegaConf, open_dict

from datasets.list import rows as data_sets

from ..loop.command_line import understood
from ..loop.config import CONF, of_folder, require_own_names, resolve

OWN = re.compile(r"\+?method@methods\.([^=\s]+)=(\S+)")
OF_A_METHOD = re.compile(r"[~+]*methods\.(\w+)")
ELSEWHERE = {  # settings that the arena has options for, or that it does not know
    "exp": "--experiments names experiments",
    "dataset": "--data names data sets",
    "methods=all": "name methods one by one, +method@methods.NAME=NAME",
    "-m": "the arena makes one scorecard; call it once for each setting",
    "--multirun": "the arena makes one scorecard; call it once for each setting",
    "fresh=true": "remove the records of your method to compute it again, or set another results_dir",
}


BLANK = "tables"  # an experiment with hardly a row of its own: what is asked of a method is the same in all


class Settings:
    """What was typed, ready to be composed with an experiment and a data set.

    Parameters
    ----------
    overrides : list of str
        As for ``experiments.run``.
    folder : str or None
        Configuration of the user's own.

    Raises
    ------
    ValueError
        No method is named, or a setting is not one of the arena's.
    """

    def __init__(self, overrides, folder):
        self.folder = folder
        self.mine = dict(match.groups() for match in map(OWN.fullmatch, overrides) if match)
        if not self.mine:
            raise ValueError("Whose scorecard? Name a method, e.g. +method@methods.mine=mine (a yaml of conf/method/).")
        require_own_names(folder, self.mine.values())
        for text in overrides:
            key = text if text in ELSEWHERE else text.partition("=")[0].lstrip("+")
            if key in ELSEWHERE:
                raise ValueError(f"{text} is for experiments.run; here {ELSEWHERE[key]}.")
        self.overrides = [text for text in understood(overrides) if not OWN.fullmatch(text)]

    @contextlib.contextmanager
    def composing(self):
        """Context in which the other methods can be called: Hydra knows where conf/ is."""
        with hydra.initialize_config_dir(version_base=None, config_dir=str(CONF), job_name="arena"):
            yield

    def compose(self, experiment, data=None, *, mine):
        """The composed settings of an experiment with those rows that the user's methods ``mine`` add to it.

        A method that is a row of the experiment already is taken as it stands there. What is said of a method that is
        no row here (``methods.simlr.n_clusters=7``) counts in the experiments that have it.
        """
        groups = [f"+exp={experiment}", *of_folder(self.folder)]
        groups += [f"dataset={data}"] if data else []
        rows = _rows(experiment)
        for name in mine:
            if name in rows and rows[name] != self.mine[name]:
                raise ValueError(
                    f"methods.{name} is a row of {experiment} already: give yours another name, e.g. "
                    f"+method@methods.my_{name}={self.mine[name]}."
                )
        added = [f"+method@methods.{name}={self.mine[name]}" for name in mine if name not in rows]
        kept = [text for text in self.overrides if _is_of(text, {*rows, *mine})]
        if experiment == BLANK:  # what is said of data and tasks is for those that are entered
            kept = [text for text in kept if not text.lstrip("+~").startswith(("dataset.", "experiment."))]
        composed = hydra.compose("config", overrides=[*groups, *added, *kept])
        if composed.only is not None:
            chosen = [composed.only] if isinstance(composed.only, str) else list(composed.only)
            controls = [name for name, block in composed.methods.items() if block.get("_role_") == "control"]
            with open_dict(composed):
                composed.only = [n for n in composed.methods if n in {*chosen, *controls, *mine}]
        return composed

    def resolved(self, experiment, data, *, mine):
        """The same in plain containers, checked."""
        return resolve(self.compose(experiment, data, mine=mine))

    def blocks(self):
        """{name: resolved block} of the user's methods, as an experiment would have them."""
        composed = self.compose(BLANK, mine=list(self.mine))
        return {name: OmegaConf.to_container(composed.methods, resolve=True)[name] for name in self.mine}


def _rows(experiment):
    """{name: its yaml, None where it has none} of the methods in the yaml of an experiment."""
    block = _yaml(f"exp/{experiment}")
    of_files = {key: value for each in block["defaults"] if isinstance(each, dict) for key, value in each.items()}
    found = {key.partition("@methods.")[2]: value for key, value in of_files.items() if "@methods." in key}
    return dict.fromkeys(block.get("methods", {})) | found


def _yaml(name):
    return yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))


def _is_of(text, names):
    match = OF_A_METHOD.match(text)
    return match is None or match.group(1) in names


class Data(NamedTuple):
    """A choice of ``dataset=``."""

    choice: str  # standin/pbmc
    name: str  # as records have it
    is_here: bool


def at_hand(data_dir):
    """Every `Data` of conf/dataset/ but the user's own file, in alphabetical order."""
    here = ("embedded", "yes", "made on demand")
    return [
        Data(row["dataset"], row["dataset"].replace("/", "_"), row["here"] in here)
        for row in data_sets(data_dir)
        if row["dataset"] != "h5ad"
    ]


def own_data_set(experiment):
    """The data set that the yaml of an experiment chooses."""
    for name in (f"exp/{experiment}", "config"):
        for default in _yaml(name)["defaults"]:
            if isinstance(default, dict):
                for key, value in default.items():
                    if key in ("override /dataset", "dataset"):
                        return value
    raise ValueError(f"conf/exp/{experiment}.yaml chooses no data set.")
