"""What is typed, for Hydra's parser: names and paths are the text that they are, and `methods=[a,b]` selects."""

import re
import warnings

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from yaml import YAMLError

TEXTS = {"data_dir", "results_dir"} | {
    f"dataset.{key}"
    for key in (
        *("path", "name", "annotations", "part", "layer", "label_key", "batch_key", "protein_key"),
        *("keep_cells", "keep_genes", "cells_with", "genes_with"),
    )
}  # settings that are names or paths: 0, true, null, 1e5, (1) and a,b are such, too
OVERRIDE = re.compile(r"(\+{0,2})([^=\s'\"]+)=(.*)", re.DOTALL)


def speak():
    """From here on a warning is a sentence for people, without the line of code that it comes from."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"


def understood(arguments):
    """The arguments of the command line with what Hydra's grammar would take for something else put in quotes."""
    is_sweep = bool({"-m", "--multirun"}.intersection(arguments))
    return [_understood(argument, is_sweep) for argument in arguments]


def _understood(argument, is_sweep):
    match = OVERRIDE.fullmatch(argument)
    if not match:
        return argument
    plus, key, value = match.groups()
    if key == "methods" and not plus and value not in ("all", "") and not value.startswith("{"):
        return f"only={value}" if is_sweep or value.startswith("[") else f"only=[{value}]"
    is_said = value == "" or "${" in value or (len(value) > 1 and value[0] == value[-1] and value[0] in "'\"")
    if key not in TEXTS or is_said or (is_sweep and _sweeps(argument)):
        return argument
    return f"{plus}{key}={QuotedString(value, Quote.single).with_quotes()}"


def _sweeps(argument):
    try:
        return OverridesParser.create().parse_override(argument).is_sweep_override()
    except HydraException:
        return False


def explain(error):
    """A configuration error in one sentence, with the keys there are and how to write what was meant."""
    lines = [line.strip() for line in str(error).splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith("See https://"))
    if isinstance(error, OverrideParseException) or text.startswith("Ambiguous value"):
        typed = getattr(error, "override", None) or text.split("'")[1]
        key, equals, value = typed.partition("=")
        if not equals:
            return f"{typed} is no setting: write name=value, e.g. seeds=[0], with no spaces around the =."
        return (
            f"{typed} cannot be read: quote text inside the quotes of the shell, '{key}=\"{value}\"'; a list is "
            f"'{key}=[1,2]', and several runs are {key}=1,2 with -m."
        )
    if isinstance(error, YAMLError):
        return f"a yaml file cannot be read: {text}."
    text = text.removeprefix("In 'config': ").replace(" To append to your config use", ": to append to your config use")
    text = text.replace("'.: to append", "': to append")
    if text.startswith("Could not find"):
        text, _, options = text.partition("Config search path:")[0].partition(" Available options in ")
        there = options.partition(":")[2].split()
        return f"{text.rstrip('.')}: there {'are' if there else 'is no other'} {', '.join(there)}".rstrip() + "."
    parent = getattr(error.__cause__, "parent_node", None)
    if isinstance(parent, DictConfig) and len(parent):
        text = f"{text.rstrip('.')}. The keys there are: {', '.join(map(str, parent))}."
    return text
