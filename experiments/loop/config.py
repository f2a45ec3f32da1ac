"""The configuration of a run, resolved once: composed by Hydra, checked, in plain containers."""

import functools
import importlib
from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from .names import Change, changes, name_of_file
from .paths import ROOT
from .protocol import check, flip
from .settings import check_jobs

ERRORS = (HydraException, OmegaConfBaseException, YAMLError)  # `command_line.explain` says them in words
OF_THE_STEM = {"exp": "experiment", "dataset": "dataset", "protocol": "protocol"}  # group: its block
CONF = ROOT / "conf"
OWN = "h5ad"  # the choice of dataset= for files of the user's own


class Identity(NamedTuple):
    """What tells a run from others of its experiment, data set and protocol."""

    changes: tuple = ()  # of `names.Change`
    own_file: bool = False  # the data are called after a file: its content tells it from others of its name


PLAIN = Identity()


def resolve(composed):
    """The settings of a run as plain containers, with its flips, methods and name of the data in place.

    Raises
    ------
    ValueError
        In one sentence, where a setting will not do.
    """
    if composed.get("experiment") is None:
        raise ValueError("Which experiment? Name one, e.g. +exp=imputation (the folder conf/exp/ lists them).")
    check_blocks(composed)
    config = composed.copy()
    flip(config)
    if config.methods == "all":
        config.methods = _all_methods(importlib.import_module(config.experiment.module).REQUIRES)
    config = _selected(config)
    if config.dataset.name == OWN and config.dataset.path:
        config.dataset.name = name_of_file(config.dataset.path)
    check(config)
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    resolved["dataset"]["max_cells"] = resolved["scale"]["max_cells"]
    check_jobs(resolved)
    return resolved


def only_shown(arguments):
    """Whether a command line asks for the settings alone (``--cfg job``), and the same without this question.

    Hydra would answer it with what it has composed, in which the methods of ``methods=all`` are not there yet.
    """
    for asked in (["--cfg", "job"], ["-c", "job"], ["--cfg=job"]):
        for at in range(len(arguments)):
            if arguments[at : at + len(asked)] == asked:
                rest = arguments[:at] + arguments[at + len(asked) :]
                return True, [argument for argument in rest if argument != "--resolve"]
    return False, arguments


def as_yaml(resolved):
    """Resolved settings as text."""
    return OmegaConf.to_yaml(OmegaConf.create(resolved))


def check_blocks(config):
    """Refuse a value where a configuration has a block, e.g. ``executor=2`` for ``executor.threads=2``."""
    blocks = {name: config[name] for name in ("dataset", "executor", "experiment", "methods", "protocol", "scale")}
    if isinstance(config.methods, DictConfig):
        blocks |= {f"methods.{name}": config.methods[name] for name in config.methods}
    for name, block in blocks.items():
        if not isinstance(block, DictConfig) and (name, block) != ("methods", "all"):
            raise ValueError(f"{name}={block!r} is no block of settings: name a file of conf/ or a key of the block.")


def identify(composed):
    """The `Identity` of the run of this Hydra job, from its composed configuration and from that of the plain run."""
    state = HydraConfig.get()
    overrides, choices = list(state.overrides.task), dict(state.runtime.choices)
    groups, parser = {}, OverridesParser.create()
    for text in overrides:
        override = parser.parse_override(text)
        name = override.get_key_element().lstrip("+")
        if name in choices and name != "executor" and not override.is_delete():
            groups[name] = text
    if composed.methods == "all":  # with it are the settings of methods that are overridden beside
        run, found = _compose([text for text in overrides if text != "methods=all"]), [Change("methods=all")]
    else:
        run, found = _selected(composed), []
    plain = _compose(groups.values())
    own_file = choices["dataset"] == OWN and bool(composed.dataset.path)
    found += changes(run, plain, own_data=own_file)
    for group, block in OF_THE_STEM.items():
        called_so = composed[block].name == str(choices[group]).replace("/", "_")
        if not called_so and not (group == "dataset" and own_file and composed.dataset.name == OWN):
            found.append(Change(f"{group}={choices[group]}"))
    others = set(groups) - set(OF_THE_STEM)
    if others:
        named = [text for name, text in groups.items() if name in OF_THE_STEM]
        before = dict(_compose(named, return_hydra_config=True).hydra.runtime.choices)
        found += [_of_group(name, choices, before) for name in others if choices[name] != before.get(name)]
    is_renamed = composed.dataset.name != plain.dataset.name
    given = composed.dataset.get("path") != plain.dataset.get("path")
    return Identity(tuple(sorted(found)), own_file or (is_renamed and given))


def _of_group(name, choices, before):
    package = name.partition("@")[2]
    if name not in before and package == f"methods.{choices[name]}":
        return Change(f"with={choices[name]}", alters=False)
    return Change(f"{package or name}={choices[name]}")


def _compose(overrides, **options):
    return hydra.compose(HydraConfig.get().job.config_name, overrides=list(overrides), **options)


def _selected(config):
    """The configuration with the methods that ``only`` names, and without ``only``."""
    if config.only is None:
        return config
    names = OmegaConf.to_container(config.only) if OmegaConf.is_config(config.only) else config.only
    names = [names] if isinstance(names, str) else names  # of a sweep, methods=pca,fa
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"methods={names!r} is no list of names: write e.g. methods=[scvi,pca].")
    unknown = [name for name in names if name not in config.methods]
    if unknown:
        raise ValueError(
            f"methods=[{','.join(names)}]: this run has no method {unknown[0]!r}; it has {', '.join(config.methods)} "
            f"(+method@methods.NAME=NAME adds one of conf/method/)."
        )
    config = config.copy()
    with open_dict(config):
        config.methods = {name: config.methods[name] for name in config.methods if name in names}
        config.only = None
    return config


def _all_methods(required):
    """Every method of conf/method/, the user's --config-dir included, that can do the task: the folder is the registry.

    ``required`` is the name of the capability (``impute``, ``latent``, …).
    """
    folders = [source.path for source in HydraConfig.get().runtime.config_sources if source.schema == "file"]
    names = {file.stem for folder in folders for file in Path(folder, "method").glob("*.yaml")}
    overrides = [o for o in HydraConfig.get().overrides.task if o != "methods=all"]
    methods = {name: _method(name, overrides) for name in sorted(names)}
    return {name: method for name, method in methods.items() if hasattr(resolve_name(method["_target_"]), required)}


def _method(name, overrides):
    """The block of one method, composed as if it had been named on the command line."""
    config = _compose([*overrides, f"+method@methods.it={name}"])
    flip(config)
    return OmegaConf.to_container(config.methods.it, resolve=True)


def method(name, folder=None, overrides=()):
    """The resolved block of one method by the name of its yaml.

    Parameters
    ----------
    name : str
    folder : str, optional
        Configuration of the user's own beside conf/.
    overrides : sequence of str
        Further settings of the command line, e.g. ``protocol=as_run`` or ``methods.NAME.n_latent=5``.

    Raises
    ------
    HydraException, OmegaConfBaseException
    """
    chosen = [*of_folder(folder), f"+method@methods.{name}={name}", *overrides]
    with hydra.initialize_config_dir(version_base=None, config_dir=str(CONF), job_name="method"):
        composed = hydra.compose("config", overrides=chosen)
    flip(composed)
    return OmegaConf.to_container(composed.methods[name], resolve=True, throw_on_missing=True)


def require_own_names(folder, names):
    """ValueError where a yaml of the user's has the name of one of the suite, which would be taken in its place."""
    for name in names if folder else ():
        if all((Path(place) / "method" / f"{name}.yaml").is_file() for place in (CONF, folder)):
            raise ValueError(f"{folder}/method/{name}.yaml has the name of a method of the suite: call it otherwise.")


def of_folder(folder):
    """The override that adds a folder of configuration to conf/, in a list; none without a folder."""
    return [f"hydra.searchpath=[file://{Path(folder).absolute()}]"] if folder else []


@functools.cache
def today(experiment, dataset, protocol, method, folder=None):
    """The resolved settings of an experiment as conf/ has them now.

    Parameters
    ----------
    experiment, dataset, protocol, method : str
        As a record names them; data of another name than those of conf/ are files of the user's own. The method is
        added where the experiment does not have it and conf/ does.
    folder : str, optional
        Configuration of the user's own beside conf/.

    Raises
    ------
    HydraException, OmegaConfBaseException
        There is no such experiment or protocol, or it does not resolve.
    """
    choices = {
        file.relative_to(CONF / "dataset").with_suffix("").as_posix() for file in CONF.rglob("dataset/**/*.yaml")
    }
    data = next((choice for choice in choices if choice.replace("/", "_") == dataset), None)
    groups = [f"+exp={experiment}", f"dataset={data or OWN}", f"protocol={protocol}"]
    groups += of_folder(folder)
    with hydra.initialize_config_dir(version_base=None, config_dir=str(CONF), job_name="today"):
        composed = hydra.compose("config", overrides=groups)
        of_method = [Path(place) / "method" / f"{method}.yaml" for place in filter(None, (CONF, folder))]
        if method not in composed.methods and any(file.is_file() for file in of_method):
            composed = hydra.compose("config", overrides=[*groups, f"+method@methods.{method}={method}"])
    return resolve(composed)
