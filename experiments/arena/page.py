"""The scorecard as a page that holds all it needs: it opens from a file and can be handed on."""

import functools
import math
from pathlib import Path

import jinja2

from .. import report, titles
from ..loop.store import atomic
from ..report.numbers import duration, interval_words, number
from . import picture, rules, text

NAME = "arena.html"


def write(card, results_dir):
    """Write ``results_dir/report/arena.html`` from a `scorecard.Scorecard`; return its path."""
    figure = picture.picture(card)
    standings = [_standing(each) for each in card.standings]
    page = _template().render(
        card=card,
        mine=[each for each in standings if each["role"] == "mine"],
        standings=standings,
        how_sure=text.how_sure(card),
        sure=any(each["wins_interval"] or each["rank_interval"] for each in standings),
        picture=picture.as_uri(figure) if figure else None,
        fields=list(_fields(card)),
        behind=[_behind(each) for each in card.behind],
        times=text.of_times(card),
        not_ranked=_not_ranked(card),
        not_entered=rules.not_entered(),
    )
    path = Path(results_dir) / "report" / NAME
    with atomic(path, "w") as file:
        file.write(page)
    return path


@functools.cache
def _template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, Path(report.__file__).parent]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"protocol": titles.protocol}
    return environment.get_template(NAME)


def _standing(each):
    return {
        "label": each.label,
        "role": each.role,
        "rank": f"{each.rank:.2f}",
        "rank_interval": _interval(each.rank_low, each.rank_high, ".2f"),
        "of": f"{each.of:.1f}",
        "wins": f"{each.wins:.0%}" if math.isfinite(each.wins) else "",
        "wins_interval": _interval(each.wins_low, each.wins_high, ".0%"),
        "scaled": _scaled(each.scaled),
        "contests": each.n,
        "tasks": ", ".join(map(titles.experiment, each.tasks)),
        "datasets": ", ".join(map(titles.data, each.datasets)),
    }


def _interval(low, high, form):
    return f"{low:{form}} to {high:{form}}" if math.isfinite(low) else ""


def _scaled(value):
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else ""


def _fields(card):
    """A section for each task and data set that has contests."""
    groups = {}
    for contest in card.contests:
        groups.setdefault((contest.experiment, contest.dataset), []).append(contest)
    behind = {(each["experiment"], each["dataset"]): each for each in card.behind}
    for (experiment, dataset), contests in groups.items():
        notes = dict.fromkeys(contest.rule.note for contest in contests if contest.rule.note)
        yield {
            "id": f"{experiment}-{dataset}",
            "title": f"{titles.experiment(experiment)}, {titles.data(dataset)}",
            "seeds": _seeds(behind[experiment, dataset]["seeds"]),
            "stand_in_for": behind[experiment, dataset]["stand_in_for"],
            "notes": list(notes),
            "contests": [_contest(contest) for contest in contests],
        }


def _contest(contest):
    settings = [titles.setting(contest.dataset, axis, value) for axis, value in contest.setting]
    return {
        "title": ": ".join(filter(None, [", ".join(settings), contest.rule.about.title])),
        "scale": f"scaled: 0 {contest.zero}, 1 {contest.one}" if contest.one else "no control to scale it by",
        "rows": [_row(contest, row) for row in contest.rows],
    }


def _row(contest, row):
    margin = text.difference(row.margin, row.margin_low, row.margin_high)
    return {
        "label": row.label,
        "role": row.role,
        "rank": f"{row.rank:.0f}" if math.isfinite(row.rank) else "",
        "score": number(row.mean),
        "interval": interval_words(row.low, row.high),
        "versus": text.difference(row.versus, row.versus_low, row.versus_high),
        "margin": margin,
        "scaled": _scaled(row.scaled),
        "time": duration(row.seconds) if math.isfinite(row.seconds) else "",
        "memory": f"{row.memory:,.0f}" if math.isfinite(row.memory) else "",
        "seeds": _of(len(row.seeds), len(contest.seeds)),
        "status": row.status,
    }


def _of(n, whole):
    return str(n) if n == whole else f"{n} of {whole}"


def _not_ranked(card):
    """{experiment in words: {score: why it is not ranked}} of what was entered."""
    entered = dict.fromkeys(each["experiment"] for each in card.behind)
    return {titles.experiment(name): found for name in entered if (found := rules.not_ranked(name))}


def _behind(each):
    written = sorted(set(each["written"]))
    return each | {
        "title": f"{titles.experiment(each['experiment'])}, {titles.data(each['dataset'])}",
        "seeds": _seeds(each["seeds"]),
        "written": f", written {' to '.join(written)}" if written else "",
    }


def _seeds(seeds):
    return ", ".join(map(str, seeds))
