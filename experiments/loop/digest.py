"""What a record was written with: a value, or an array, that was changed by hand is not a result."""

import hashlib
import json

import numpy as np


def sealed(record):
    """The record with its digest."""
    return record | {"digest": _digest(record)}


def parsed(text, key):
    """The record that was written as this JSON; ValueError where it is not the one that was written for this key."""
    try:
        record = json.loads(text)
        if record["key"] != key or not isinstance(record["status"], str):
            raise ValueError("its key or status is wrong")
        if record.pop("digest") != _digest(record):
            raise ValueError("its content is not what was written")
        if "module" in record and key_of(record) != key:  # records of earlier versions do not name it
            raise ValueError("its key is that of another job")
        return record
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from error
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def key_of(record):
    """The key of the job that a record says it is of; KeyError where it does not say all that belongs to that."""
    method = record["method_config"]
    parameters = {name: value for name, value in method.items() if not name.startswith("_")}
    content = {
        "format": record["format"],
        "experiment": [record["experiment"], record["module"], record["experiment_code"]],
        "dataset": record["dataset_hash"],
        "method": [method["_target_"], parameters, record["method_code"]],
        "protocol": record["protocol_config"],
        "axes": record["axes"],
        "seed": [record["seed"], *(record["seeds"][name] for name in ("split", "corruption", "fit"))],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def digest_of_array(array):
    """sha256 of type, shape and values."""
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()).hexdigest()


def check_arrays(record, arrays):
    """ValueError where the arrays are not those that the record was written with."""
    if isinstance(record["arrays"], dict):  # records of earlier versions have the names alone
        for name, digest in record["arrays"].items():
            if digest_of_array(arrays[name]) != digest:
                raise ValueError(f"{name} is not what the record was written with")


def _digest(record):
    """sha256 of a record as JSON gives it back."""
    content = json.dumps(json.loads(json.dumps(record)), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
