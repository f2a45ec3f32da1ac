"""What the settings of a run must be, checked before anything is computed; each refusal is one sentence."""

import functools
import inspect
from numbers import Real
from pkgutil import resolve_name

from datasets.base import FILE_NAME


def called(target):
    """The class or function of this dotted name; ValueError, with the reason alone, where there is none."""
    try:
        found = resolve_name(target)
    except Exception as error:  # of a module of the user's, anything
        raise ValueError((str(error) or type(error).__name__).splitlines()[0]) from error
    if not callable(found):
        raise ValueError(f"{target} is a {type(found).__name__}")
    return found


def check_values(where, function, values):
    """Raise ValueError in one sentence where ``function`` has no such parameter, or its default is of another kind."""
    parameters = inspect.signature(function).parameters
    known = [name for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
    for key, value in values.items():
        if key not in parameters and len(known) == len(parameters):
            raise ValueError(
                f"{where}.{key} is not a parameter of {function.__name__}; it has: {', '.join(known) or 'none'}."
            )
        stated = key not in parameters or parameters[key].annotation is not inspect.Parameter.empty
        kind = None if stated else type(parameters[key].default)  # one that states its types is left to the method
        number = (Real, "a number")  # for a default of 1 too, which need not mean that 0.5 makes no sense
        allowed, said = {bool: (bool, "true or false"), int: number, float: number}.get(kind, (object, ""))
        is_switch = isinstance(value, bool) and kind in (int, float)  # Python's true is an integer
        if not isinstance(value, allowed) or is_switch or value != value:
            raise ValueError(f"{where}.{key}={value!r} will not do: choose {said or 'a value'}.")
        if kind is int and key.startswith("n_") and (value < 0 or value % 1):  # a number of things, in any method
            raise ValueError(f"{where}.{key}={value!r} will not do: choose a whole number that is not negative.")


def check_file_names(config):
    """Refuse names that would lead out of the results folder: they become parts of file names there."""
    for part in ("experiment", "dataset", "protocol"):
        name = config[part].get("name")
        if not isinstance(name, str) or not FILE_NAME.fullmatch(name):
            raise ValueError(
                f"{part}.name={name!r} cannot be part of a file name: use letters, digits, - and _, "
                f"e.g. {part}.name=my_{part}."
            )


def check_jobs(config):
    """Refuse settings of which jobs to compute that are no lists, or that would count a job twice."""
    seeds, axes, most = config["seeds"], config["experiment"].get("axes") or {}, config["scale"]["max_cells"]
    if not isinstance(seeds, list) or len(set(seeds)) < len(seeds) or not all(isinstance(s, int) for s in seeds):
        raise ValueError(f"seeds={seeds}: give a list of different integers, e.g. seeds=[0,1,2].")
    if not isinstance(axes, dict):
        raise ValueError(f"experiment.axes={axes}: give a list of values for every axis, e.g. experiment.axes.x=[1,2].")
    for name, values in axes.items():
        if not isinstance(values, list) or len(set(map(str, values))) < len(values):
            raise ValueError(f"experiment.axes.{name}={values}: give a list of different values.")
    grows_with = config["experiment"].get("grows_with")
    if grows_with and grows_with not in axes:
        raise ValueError(f"experiment.grows_with={grows_with}: choose an axis ({', '.join(axes)}), or null.")
    if not (most is None or (isinstance(most, int) and most > 1)):
        raise ValueError(f"scale.max_cells={most!r}: give a number of cells, or null for all of them.")
    for name in ("fresh", "dry_run"):
        if not isinstance(config[name], bool):
            raise ValueError(f"{name}={config[name]!r}: choose true or false.")


def executor(config):
    """The function that computes jobs, as a file of conf/executor/ names it, with its options, which are checked.

    Raises
    ------
    ValueError
        In one sentence, where an option will not do.
    OSError
        Something that the executor needs is missing.
    """
    options = dict(config)
    target = options.pop("_target_", None)
    try:
        run_jobs = called(target)
    except ValueError as error:
        raise ValueError(
            f"executor._target_={target!r} names no executor: choose executor=local, or leave it out."
        ) from error
    check_values("executor", run_jobs, options)
    for name in ("threads", "retries"):
        if not isinstance(options.get(name, 1), int):
            raise ValueError(f"executor.{name}={options[name]!r} will not do: choose an integer.")
    for name in ("n_jobs", "memory_gb"):
        if options.get(name, "auto") != "auto" and not isinstance(options[name], int | float):
            raise ValueError(f"executor.{name}={options[name]!r} will not do: choose a number, or auto.")
    if require := getattr(inspect.getmodule(run_jobs), "require", None):
        require()
    return functools.partial(run_jobs, **options)
