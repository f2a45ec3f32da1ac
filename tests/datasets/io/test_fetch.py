"""Finding and downloading raw files, from a server of the test's own."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from datasets import fetch as door
from datasets.base import InvalidDataset
from datasets.io import fetch
from datasets.io.fetch import Unavailable, gather, locate, obtain

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves ``files`` with ranges and ETags; ``cut`` makes the next answer stop after so many bytes."""

    def __init__(self):
        self.files, self.requests, self.cut = {"/file": CONTENT}, [], None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content = outer.files.get(self.path)
                outer.requests.append((self.path, self.headers.get("Range")))
                if content is None:
                    return self.send_error(404)
                tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
                start = 0
                if self.headers.get("Range") and self.headers.get("If-Range", tag) == tag:
                    start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.send_header("ETag", tag)
                self.end_headers()
                self.wfile.write(content[start : outer.cut])
                outer.cut = None
                return None

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def url(self, path="/file"):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def entry(*urls, sha256=SHA256, **more):
    return {"name": "x.bin", "urls": list(urls), "sha256": sha256, "bytes": len(CONTENT), **more}


def litter(folder):
    return sorted(path.name for path in (folder / "raw").iterdir() if not path.name.endswith(".lock"))


def test_a_file_is_downloaded_once_and_verified(server, tmp_path):
    path = obtain(entry(server.url()), tmp_path)
    assert path == tmp_path / "raw" / "x.bin"
    assert path.read_bytes() == CONTENT
    assert litter(tmp_path) == ["x.bin"]
    obtain(entry(server.url()), tmp_path)
    assert len(server.requests) == 1


def test_mirrors_are_tried_in_order(server, tmp_path):
    server.files["/page"] = b"<!DOCTYPE html><html>Please log in</html>"
    server.files["/other"] = b"another file"
    mirrors = [server.url(path) for path in ("/missing", "/page", "/other", "/file")]
    assert obtain(entry("http://127.0.0.1:1/x", *mirrors), tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/missing", "/page", "/other", "/file"]


def test_what_failed_is_told_for_every_mirror(server, tmp_path):
    server.files["/page"] = b"\n<html>Please log in</html>"
    server.files["/other"] = b"another file"
    with pytest.raises(Unavailable, match=r"404.*web page.*sha256 is .* put the file into .*raw yourself"):
        obtain(entry(server.url("/missing"), server.url("/page"), server.url("/other")), tmp_path)
    assert litter(tmp_path) == []


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    server.cut = 300_000
    with pytest.raises(Unavailable, match="ended after 300000 of 1280000 bytes, run again to go on"):
        obtain(entry(server.url()), tmp_path)
    assert locate(entry(), tmp_path) is None
    assert obtain(entry(server.url()), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] == ("/file", "bytes=300000-")
    assert litter(tmp_path) == ["x.bin"]


def test_a_file_that_changed_in_between_is_fetched_from_its_start(server, tmp_path):
    server.files["/file"] = b"old" * 100_000
    server.cut = 1000
    with pytest.raises(Unavailable):
        obtain(entry(server.url()), tmp_path)
    server.files["/file"] = CONTENT
    assert obtain(entry(server.url()), tmp_path).read_bytes() == CONTENT


def test_without_a_known_hash_the_first_one_counts(server, tmp_path):
    file = entry(server.url(), sha256=None)
    path = obtain(file, tmp_path)
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(InvalidDataset, match=r"x\.bin is not the file it should be: .* the one seen first"):
        obtain(file, tmp_path)


def test_a_file_of_the_data_folder_is_verified_too(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"something else")
    with pytest.raises(InvalidDataset, match=rf"the one published for it is {SHA256}; delete it"):
        obtain(entry(), tmp_path)
    (tmp_path / "x.bin").write_bytes(CONTENT)
    assert obtain(entry(), tmp_path) == tmp_path / "x.bin"


def test_nothing_is_downloaded_unless_asked(server, tmp_path):
    with pytest.raises(Unavailable, match=rf"set dataset.download=true, or put the file there \(from {server.url()}\)"):
        obtain(entry(server.url()), tmp_path, download=False)
    assert server.requests == []


def test_a_member_of_a_zip_archive(server, tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("../data/x.bin", CONTENT)
        writer.writestr("data/y.bin", b"no")
    server.files["/data.zip"] = archive.getvalue()
    assert obtain(entry(server.url("/data.zip"), member="x.bin"), tmp_path).read_bytes() == CONTENT
    with pytest.raises(Unavailable, match=r"the archive does not hold z\.bin"):
        obtain(entry(server.url("/data.zip"), member="z.bin") | {"name": "z.bin"}, tmp_path)
    assert not (tmp_path.parent / "data").exists()


def test_own_copies_take_the_place_of_the_published_ones(tmp_path):
    files = {"a": entry() | {"name": "a.csv.gz"}, "b": entry() | {"name": "b.csv"}}
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.csv").write_text("unpacked")
    (own / "b.csv").write_text("b")
    found = gather(files, own, data_dir=tmp_path)
    assert [path.name for path, _ in found.values()] == ["a.csv", "b.csv"]
    assert found["b"][1] == hashlib.sha256(b"b").hexdigest()
    assert gather({"a": files["a"]}, own / "b.csv", data_dir=tmp_path)["a"][0] == own / "b.csv"
    with pytest.raises(FileNotFoundError, match=r"correct dataset\.path"):
        gather(files, tmp_path / "nowhere", data_dir=tmp_path)


def test_a_folder_that_cannot_be_written_is_read_and_the_rest_goes_home(tmp_path, monkeypatch):
    (tmp_path / "x.bin").write_bytes(CONTENT)
    monkeypatch.setattr(fetch.os, "access", lambda *_: False)
    assert obtain(entry(), tmp_path) == tmp_path / "x.bin"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.bin"]
    assert list((fetch.Path.home() / ".cache" / "scvi-reproduction" / "hashes").iterdir())


def test_the_command_tells_what_it_fetched(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("datasets.fetch.preset", lambda name, *_: {"files": {"a": entry(server.url())}})
    assert door.main(["cortex", "--data-dir", str(tmp_path)]) == 0
    assert f"x.bin (1,280,000 bytes, sha256 {SHA256})" in capsys.readouterr().out
    (tmp_path / "raw" / "x.bin").write_bytes(b"damaged")
    assert door.main(["cortex", "--data-dir", str(tmp_path)]) == 1
    assert "is not the file it should be" in capsys.readouterr().err
