"""Names in a configuration, which takes some of them for numbers or truth values."""

from ..base import InvalidDataset


def named(names, key):
    """The name that ``key`` is, also where a configuration took it for a number or a truth value.

    Parameters
    ----------
    names : collection of str
        The names that there are.
    key : str, int, float or bool
        ``1e5`` in a configuration is 100000.0, ``true`` is True.

    Returns
    -------
    str
        The only name that reads so; ``str(key)`` where there is none.

    Raises
    ------
    InvalidDataset
        Several names read so.
    """
    if isinstance(key, str):
        return key
    alike = [name for name in map(str, names) if _reads_as(name, key)]
    if len(alike) > 1:
        raise InvalidDataset(
            f"The name {key!r} may be {' or '.join(map(repr, alike))}: put it in quotes, as text, in the configuration."
        )
    return alike[0] if alike else str(key)


def _reads_as(name, key):
    if isinstance(key, bool):
        return name.lower() == str(key).lower()
    try:
        number = float(name)
    except ValueError:
        return False
    return number == key or (number != number and key != key)
