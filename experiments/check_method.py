"""Ask a method of your own what every method of the suite is asked, in seconds and on a few cells.

``python -m experiments.check_method NAME``: the name of a yaml of conf/method/ or, with ``--config-dir FOLDER``, of
``FOLDER/method/``. A class in your own folder is found where PYTHONPATH names that folder. Exit code 1 where a check
fails; each failure says in a sentence what was asked, what came and how to mend it.
"""

import argparse
import inspect
import sys
from pkgutil import resolve_name

from baselines import conformance

from .loop import command_line, config
from .loop.job import check_method


def main(arguments=None):
    command_line.speak()
    about, more = __doc__.split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m experiments.check_method", description=about, epilog=more)
    parser.add_argument("name", help="of its yaml, without the ending")
    parser.add_argument("--config-dir", metavar="FOLDER", help="configuration of your own, as for experiments.run")
    parser.add_argument("overrides", nargs="*", help="further settings, e.g. protocol=as_run or methods.NAME.k=3")
    options = parser.parse_intermixed_args(arguments)
    try:
        config.require_own_names(options.config_dir, [options.name])
        block = config.method(options.name, options.config_dir, command_line.understood(options.overrides))
        check_method(options.name, block)
    except config.ERRORS as error:
        return _wrong(command_line.explain(error))
    except ValueError as error:
        advice = (
            " A class in a folder of your own is found where PYTHONPATH names it." if "imported" in str(error) else ""
        )
        return _wrong(f"{error}{advice}")
    cls = resolve_name(block["_target_"])
    parameters = {name: value for name, value in block.items() if not name.startswith("_")}
    if not inspect.isclass(cls) or not all(hasattr(cls, name) for name in ("fit", "get_params", "set_params")):
        return _wrong(
            f"{block['_target_']} has to be a scikit-learn estimator and has no fit(), get_params() or set_params(): "
            "write class Mine(Method), with Method from baselines.base."
        )
    if getattr(cls, "sees_truth", False):
        return _wrong(f"{block['_target_']} has sees_truth, which is for controls that are shown the truth: remove it.")
    said = _outcomes(cls, parameters)
    print(
        f"{block['_target_']}: {said.count('passed')} checks passed, {said.count('failed')} failed, "
        f"{said.count('left out')} left out."
    )
    return 1 if "failed" in said else 0


def _outcomes(cls, parameters):
    try:
        method = conformance.quick(cls, parameters)
    except Exception as error:  # of the user's __init__, anything
        print(
            f"FAILED    __init__ was given {', '.join(parameters) or 'nothing'} and raised {type(error).__name__} "
            f"({error}): let it store its arguments and do nothing else."
        )
        return ["failed"]
    small = [name for name in conformance.QUICK if name in method.get_params()]
    print(f"{conformance.N_CELLS} cells × {conformance.N_GENES} genes", end="")
    print(*(f", {name}={conformance.QUICK[name]}" for name in small), sep="", end=".\n")
    said = []
    for check, status, sentence in conformance.outcomes(method):
        word = "FAILED" if status == "failed" else status
        print(f"{word:<9} {check}{': ' if sentence else ''}{sentence}", flush=True)
        said.append(status)
    return said


def _wrong(sentence):
    """Say what stands in the way of all checks."""
    print(f"error: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
