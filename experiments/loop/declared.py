"""Whether an experiment has described all of its scores, asked before anything is computed.

`declared` reads the code of ``evaluate`` and of the functions of the same package whose results it returns: every name
that a score is given there, f-strings as patterns, needs a line in ``SCORES``. Names that only come up as the code runs
cannot be read; of those a job says the same once it has them, and fails. Reading costs nothing; a rehearsal on a few
cells would cost seconds and find only the scores of the methods and annotations that it rehearses.
"""

import ast
import inspect
import sys
import textwrap

from ..scores import Score, template


def declared(module):
    """The ``SCORES`` of an imported experiment; ValueError where they are malformed or do not have a score."""
    scores = getattr(module, "SCORES", None)
    if not isinstance(scores, dict) or not scores:
        raise ValueError(f"{module.__name__} describes no score: give it SCORES with {_line('my_score')}.")
    for name, score in scores.items():
        if not isinstance(score, Score) or not score.label or score.better not in ("lower", "higher", ""):
            raise ValueError(f"SCORES[{name!r}] of {module.__name__} is {score!r}: write {_line(name)}.")
        if "{" in name and not isinstance(score.published, dict | None):
            raise ValueError(
                f"SCORES[{name!r}] of {module.__name__} are several scores, and published={score.published!r} is one: "
                f'give the address of each, published={{"metric": {name!r}}}, or leave it out.'
            )
    check_found(module, _written(module))
    return scores


def check_found(module, names):
    """Raise ValueError where ``names``, or patterns of them, are not among the scores of an experiment."""
    for name in names:
        known = module.SCORES
        if not any(template(k).fullmatch(name) or template(name).fullmatch(k) for k in known):
            raise ValueError(
                f"{module.__name__} returns a score {name!r} that nobody has described: add a line to its SCORES, "
                f"{_line(name)}."
            )


def _line(name):
    return f'"{name}": Score("label (unit)", "higher") (from experiments.scores import Score)'


def _written(module):
    """Names of scores as the code of ``evaluate`` writes them, {} in place of what an f-string fills in."""
    evaluate = _function(module, "evaluate")
    if evaluate is None:
        raise ValueError(f"{module.__name__} has no function evaluate(method, adata, protocol, seeds, **axes).")
    for value in _returned(evaluate):
        yield from _keys(value.elts[0] if isinstance(value, ast.Tuple) else value, evaluate, module)


def _function(module, name):
    """The syntax of a function of ``module``, be it imported from its own package; None where there is no such."""
    found = getattr(module, name, None)
    if inspect.isfunction(found) and found.__module__.split(".")[0] == module.__name__.split(".")[0]:
        return ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    return None


def _returned(function):
    return [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]


def _keys(value, function, module, seen=()):
    """Keys of the dict that an expression of ``function`` makes, as far as its code says them."""
    match value:
        case ast.Dict():
            for key, inner in zip(value.keys, value.values, strict=True):
                yield from _keys(inner, function, module, seen) if key is None else _name(key)
        case ast.DictComp():
            yield from _name(value.key)
        case ast.Call(func=ast.Name(id="dict")):
            yield from _arguments(value, function, module, seen)
        case ast.BinOp(op=ast.BitOr()):
            for side in (value.left, value.right):
                yield from _keys(side, function, module, seen)
        case ast.Call(func=ast.Name(id=name)) if name not in seen and (called := _function(module, name)):
            for inner in _returned(called):
                yield from _keys(inner, called, sys.modules[getattr(module, name).__module__], (*seen, name))
        case ast.Name(id=name) if name not in seen:
            for node in ast.walk(function):
                match node:
                    case ast.Assign(targets=[ast.Name(id=known)]) | ast.AugAssign(target=ast.Name(id=known)):
                        if known == name:
                            yield from _keys(node.value, function, module, (*seen, name))
                    case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=known), slice=key)]) if known == name:
                        yield from _name(key)
                    case ast.AnnAssign(target=ast.Name(id=known), value=ast.expr()) if known == name:
                        yield from _keys(node.value, function, module, (*seen, name))
                    case ast.Call(func=ast.Attribute(value=ast.Name(id=known), attr="update")) if known == name:
                        yield from _arguments(node, function, module, (*seen, name))
                    case ast.Call(func=ast.Attribute(value=ast.Name(id=known), attr="setdefault")) if known == name:
                        yield from _name(node.args[0] if node.args else None)


def _arguments(call, function, module, seen):
    """Keys of what is handed to ``dict`` or ``update``, which are called alike."""
    for argument in call.args:
        yield from _keys(argument, function, module, seen)
    for keyword in call.keywords:
        if keyword.arg is None:
            yield from _keys(keyword.value, function, module, seen)
        else:
            yield keyword.arg


def _name(key):
    match key:
        case ast.Constant(value=str(name)):
            yield name
        case ast.JoinedStr():
            parts = (
                part.value if isinstance(part, ast.Constant) else f"{{part{i}}}" for i, part in enumerate(key.values)
            )
            yield "".join(parts)
