"""Raw files: found where the user has them, or downloaded once, verified and kept.

A file is a mapping with ``name``, ``urls`` (mirrors, tried in order), ``sha256`` (null where no trustworthy hash is
known: then the hash of the first copy is recorded and a later, different one is refused), ``bytes``, and ``member``
where the address is that of a zip archive which holds it; the ``files`` block of ``conf/dataset/NAME.yaml`` lists those
of a dataset.
"""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from tqdm import tqdm

from scvi_core.files.atomic import replace

from ..base import InvalidDataset, sha256_of

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
AGENT = "scvi-reproduction"


class Unavailable(FileNotFoundError):
    """A raw file is neither on this machine nor, now, to be downloaded."""


def data_folder(data_dir=None):
    """The folder of raw files and caches: ``data_dir``, else ``$SCVI_REPRO_DATA``, else one in the user's cache."""
    return Path(data_dir or os.environ.get("SCVI_REPRO_DATA") or _own_folder())


def _own_folder():
    return Path.home() / ".cache" / "scvi-reproduction"


def writable_folder(data_dir=None):
    """``data_folder`` if it can be written, else the one in the user's cache."""
    folder = data_folder(data_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _own_folder()
    return folder if os.access(folder, os.W_OK) else _own_folder()


def locate(file, data_dir=None):
    """Path of a raw file that is on this machine already (in the data folder or its ``raw/``), or None."""
    for folder in (data_folder(data_dir), writable_folder(data_dir)):
        for path in (folder / "raw" / file["name"], folder / file["name"]):
            if path.is_file():
                return path
    return None


def gather(files, path=None, download=False, data_dir=None):
    """The raw files of a dataset, as ``{key: (path, sha256)}``.

    Parameters
    ----------
    files : dict
        ``{key: file}``.
    path : str or Path, optional
        The user's own copies: a folder that holds them under their names (unpacked from .gz or not), or a single
        file that takes the place of the first. Those are hashed, not verified; the rest is obtained.
    download : bool
        Whether files that are not on this machine may be fetched.
    data_dir : str or Path, optional

    Raises
    ------
    Unavailable, InvalidDataset
        As :func:`obtain`.
    """
    own = {}
    if path is not None:
        path = Path(path).expanduser()
        if not path.exists():
            raise FileNotFoundError(f"There is no file or folder {path}: correct dataset.path, or leave it out.")
        if path.is_file():
            own[next(iter(files))] = path
        else:
            for key, file in files.items():
                for candidate in (path / file["name"].removesuffix(".gz"), path / file["name"]):
                    if candidate.is_file():
                        own[key] = candidate
    found = {}
    for key, file in files.items():
        where = own.get(key) or obtain(file, data_dir, download)
        found[key] = (where, _remembered_sha256(where, data_dir))
    return found


def obtain(file, data_dir=None, download=True):
    """Path of a verified raw file, downloaded first if it is not on this machine and ``download`` allows it.

    Raises
    ------
    Unavailable
        The file is not here and may not, or could not, be downloaded: says where it can be had and where to put it.
    InvalidDataset
        The file is here but is not the file it should be.
    """
    path = locate(file, data_dir)
    if path is None:
        if not download:
            raise Unavailable(
                f"{file['name']} is not in {data_folder(data_dir)}: set dataset.download=true, or put the file there "
                f"(from {_first(file['urls']) or 'its authors'})."
            )
        path = _download(file, writable_folder(data_dir) / "raw")
    verify(path, file, data_dir)
    return path


def verify(path, file, data_dir=None):
    """Return the sha256 of ``path`` if it is the known one, or the one recorded when the file was first seen."""
    found = _remembered_sha256(path, data_dir)
    expected, origin = file.get("sha256"), "published for it"
    if expected is None:
        record = writable_folder(data_dir) / "hashes" / f"{file['name']}.json"
        if record.exists():
            expected, origin = json.loads(record.read_text())["sha256"], f"seen first (noted in {record})"
        else:
            _write_json(record, {"sha256": found, "first_seen": str(path)})
            return found
    if found != expected:
        raise InvalidDataset(
            f"{path} is not the file it should be: its sha256 is {found}, the one {origin} is {expected}; "
            "delete it and fetch it again."
        )
    return found


def _remembered_sha256(path, data_dir):
    """sha256 of a file, computed again only when its size or time of change differ: raw files run to gigabytes."""
    state = path.stat()
    stamp = {"path": str(path.resolve()), "bytes": state.st_size, "mtime_ns": state.st_mtime_ns}
    name = hashlib.sha256(stamp["path"].encode()).hexdigest()[:16]
    memory = writable_folder(data_dir) / "hashes" / f"seen-{name}.json"
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(memory.read_text())
        if {key: known.get(key) for key in stamp} == stamp:
            return known["sha256"]
    digest = sha256_of(path)
    _write_json(memory, {**stamp, "sha256": digest})
    return digest


def _write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, json.dumps(content, indent=1).encode())


def _first(urls):
    return urls[0] if urls else None


def _download(file, folder):
    """Try the mirrors in order; return the path of the finished, verified file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file["name"]
    failures = []
    with open(folder / f".{file['name']}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs that want the same file: the second finds it there
        if path.is_file():
            return path
        for url in file["urls"]:
            part = folder / f".{file['name']}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"
            try:
                _resume(url, part, file["name"])
                if file.get("member"):
                    _take_member(part, file["member"])
                _inspect(part, file)
            except (OSError, http.client.HTTPException, InvalidDataset) as error:
                failures.append(f"{url}: {error}")
                continue
            os.replace(part, path)
            _validator(part).unlink(missing_ok=True)
            return path
    tried = "; ".join(failures) or "no address is known"
    raise Unavailable(f"{file['name']} could not be downloaded ({tried}): put the file into {folder} yourself.")


def _resume(url, part, name):
    """Fetch what is missing of ``part``: on from where an earlier attempt stopped, if it is still the same file."""
    request = urllib.request.Request(url, headers={"User-Agent": AGENT})
    validator = _validator(part)
    have = part.stat().st_size if part.exists() else 0
    if have and validator.exists():
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator.read_text())
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        resumed = getattr(response, "status", None) == 206
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        mark = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if mark and not mark.startswith("W/"):
            validator.write_text(mark)
        else:
            validator.unlink(missing_ok=True)
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=None)
        with bar, open(part, "ab" if resumed else "wb") as stream:
            while block := response.read(CHUNK):
                stream.write(block)
                bar.update(len(block))
            stream.flush()
            os.fsync(stream.fileno())
    size = part.stat().st_size
    if total is not None and size < total:
        raise InvalidDataset(f"the connection ended after {size} of {total} bytes, run again to go on")


def _take_member(part, member):
    """Put the member of a downloaded zip archive in the place of the archive."""
    try:
        with zipfile.ZipFile(part) as archive:
            names = [name for name in archive.namelist() if Path(name).name == member]
            if not names:
                raise InvalidDataset(f"the archive does not hold {member}")
            content = archive.read(names[0])
    except zipfile.BadZipFile:
        content = part.read_bytes()  # no archive: what it is instead is found out next
    replace(part, content)


def _inspect(part, file):
    """Refuse, and remove, a finished download that is not the file."""
    with open(part, "rb") as stream:
        head = stream.read(512)
    problem = None
    if looks_like_html(head):
        problem = "the server sent a web page in place of the file"
    elif file.get("sha256") and (digest := sha256_of(part)) != file["sha256"]:
        problem = f"its sha256 is {digest}, not {file['sha256']}"
    if problem:
        part.unlink()
        _validator(part).unlink(missing_ok=True)
        raise InvalidDataset(problem)


def _validator(part):
    return part.with_suffix(".etag")


def looks_like_html(head):
    """Whether the first bytes of a file are those of a web page."""
    return head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))
