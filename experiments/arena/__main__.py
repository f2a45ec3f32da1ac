"""Where does a method stand? ``python -m experiments.arena +method@methods.mine=mine``.

A method enters every experiment that it has the answers for, on every data set where somebody else is on record under
the same protocol. What others have is read from the records in the results folder and in the repository; computed is
what is missing of your method, as by experiments.run and into the same records, so a second call computes nothing. It
ends with a scorecard, here and in results/report/arena.html (docs/arena.md says how to read it).

Settings are those of experiments.run: seeds=[0,1], protocol=as_run, methods.mine.k=5, 'methods=[scvi,pca]' (these
alone, and the controls), '~methods.biscuit', results_dir=FOLDER, executor.timeout_minutes=30, dry_run=true.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from ..loop import command_line, config
from ..loop.outcome import why
from ..loop.settings import executor
from ..loop.store import Store, sweep
from ..report.inventory import forecast
from ..run import FOR_PEOPLE, require_writable
from . import page, plan, rules, sheet, text
from .command import BLANK, Settings
from .field import fields
from .records import Records
from .scorecard import scorecard

os.environ.setdefault("HYDRA_FULL_ERROR", "1")


def main(arguments=None):
    command_line.speak()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(
        prog="python -m experiments.arena",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("settings", nargs="*", metavar="SETTING", help="+method@methods.NAME=YAML, and any other")
    parser.add_argument("--config-dir", metavar="FOLDER", help="configuration of your own, as for experiments.run")
    parser.add_argument("--data", type=_list, metavar="A,B", help="on these data sets (dataset=), or on all at hand")
    parser.add_argument("--experiments", type=_list, metavar="A,B", help=f"of {', '.join(rules.experiments())}")
    parser.add_argument(
        "--others",
        choices=plan.OTHERS,
        default="none",
        help="compute what is missing of others as well: of controls, or of all (none: what they lack is said)",
    )
    options = parser.parse_intermixed_args(arguments)
    try:
        return arena(options)
    except KeyboardInterrupt:
        print("\nInterrupted: finished jobs are on record, the same command resumes.", file=sys.stderr)
        return 130
    except config.ERRORS as error:
        print(f"error: {command_line.explain(error)}", file=sys.stderr)
    except FOR_PEOPLE as error:
        print(f"error: {why(error)}", file=sys.stderr)
    return 1


def arena(options):
    """Compute what is missing, write the scorecard; return 1 where a job of the user's methods failed."""
    settings = Settings(options.settings, options.config_dir)
    mine = set(settings.mine)
    with settings.composing():
        plain = settings.compose(BLANK, mine=[])
        results_dir, options.data_dir = Path(plain.results_dir), plain.data_dir
        records, blocks = Records(results_dir), settings.blocks()
        for name, block in blocks.items():
            plan.require_fair(name, block)
        entries, said = plan.entries(options, records, plain.protocol.name, blocks)
        resolved = [settings.resolved(each.experiment, each.data, mine=each.mine) for each in entries]
    require_writable(results_dir)
    run_jobs = executor(resolved[0]["executor"])
    found = fields(entries, resolved)
    jobs = [job for field in found for job in field.jobs]
    missing = [job for job in jobs if not records.is_done(job)]
    todo = [job for job in missing if _is_wanted(job, mine, options.others)]
    print(f"{len(jobs)} jobs, {len(jobs) - len(missing)} on record, {len(todo)} to compute.")
    if plain.dry_run:
        for experiment in dict.fromkeys(job.experiment for job in todo):
            its = [job for job in todo if job.experiment == experiment]
            print(f"{experiment}: {forecast(its, its, Store(records.folders[-1], experiment))}")
        print("\n".join(said))
        return 0
    sweep(results_dir)
    run_jobs(sorted(todo, key=lambda job: job.seed), results_dir)
    for field in found:
        field.look_up(records)
    card = scorecard(found, mine, said, records.folders[-1])
    sheet.write(card, results_dir / "report" / "arena.csv")
    path = page.write(card, results_dir)
    print("\n" + text.as_text(card))
    print(f"\nScorecard: {path} (every number: arena.csv beside it)")
    for sentence in card.wrong:
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if card.wrong or any(each["failed"] for each in card.undone) else 0


def _is_wanted(job, mine, others):
    """Whether a job is computed where it is missing."""
    return job.method in mine or others == "all" or (others == "controls" and job.role == "control")


def _list(words):
    return [word for word in words.strip("[]").split(",") if word]


if __name__ == "__main__":
    sys.exit(main())
