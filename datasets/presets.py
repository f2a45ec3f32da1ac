"""The folder ``conf/dataset`` is the list of datasets: what they are called, and how each is loaded."""

from pathlib import Path

from hydra.utils import get_method
from omegaconf import OmegaConf

from .base import InvalidDataset
from .io.fetch import data_folder

CONF = Path(__file__).resolve().parents[1] / "conf" / "dataset"


def names():
    """Names of all presets, ``standin/...`` among them."""
    return sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml"))


def preset(name, data_dir=None, **overrides):
    """The resolved block of ``conf/dataset/NAME.yaml`` as a dict, with top-level keys replaced by ``overrides``."""
    path = CONF / f"{name}.yaml"
    if not path.is_file():
        raise InvalidDataset(f"There is no dataset {name!r}; there are: {', '.join(names())}.")
    block = OmegaConf.load(path)
    unknown = sorted(set(overrides) - set(block))
    if unknown:
        raise InvalidDataset(f"The dataset {name!r} has no setting {unknown[0]!r}; it has: {', '.join(block)}.")
    config = OmegaConf.create({"dataset": OmegaConf.merge(block, overrides), "data_dir": str(data_folder(data_dir))})
    return OmegaConf.to_container(config, resolve=True)["dataset"]


def load(name, data_dir=None, **overrides):
    """Load a dataset by its name, e.g. ``load("cortex", n_genes=100)``; returns an AnnData."""
    arguments = preset(name, data_dir, **overrides)["loader"]
    return get_method(arguments.pop("_target_"))(**arguments)  # instantiate() would wrap the errors in its own
