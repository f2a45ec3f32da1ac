"""The site builds without a warning, its links lead somewhere, it loads nothing from elsewhere, its search finds."""

import functools
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder with the built site; a warning is an error."""
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    call = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(folder)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """What a page links to, loads and can be linked at."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors, self.without_alt = [], [], {""}, []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        self.anchors |= {of[name] for name in ("id", "name") if of.get(name)}
        if tag == "a" and of.get("href"):
            self.links.append(of["href"])
        if tag in ("script", "img", "iframe", "source") and of.get("src"):
            self.loaded.append(of["src"])
        if tag == "link" and of.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(of["href"])
        if tag == "img" and not of.get("alt"):
            self.without_alt.append(of["src"])


@functools.cache
def page(path):
    return Page(path)


def pages(site):
    found = sorted(site.rglob("*.html"))
    assert len(found) > 30
    return found


def dead_links(site):
    """(page, address) of every link inside the site that leads nowhere."""
    dead = []
    for path in pages(site):
        for address in page(path).links + page(path).loaded:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_there = target.is_file() and target.is_relative_to(site)
            if not is_there or (target.suffix == ".html" and unquote(parts.fragment) not in page(target).anchors):
                dead.append((path.name, address))
    return dead


def test_every_link_inside_the_site_leads_somewhere(site):
    assert dead_links(site) == []


def test_nothing_is_loaded_from_elsewhere(site):
    remote = [(p.name, source) for p in pages(site) for source in page(p).loaded if urlsplit(source).netloc]
    assert remote == []
    styles = "".join(style.read_text(encoding="utf-8") for style in site.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//[^)\s]+", styles) == []


def test_every_picture_has_words(site):
    assert [(p.name, source) for p in pages(site) for source in page(p).without_alt] == []


def test_every_page_of_the_reference_has_its_parts(site):
    read = {
        name: (site / name).read_text(encoding="utf-8") for name in ("reference/model.html", "generated/methods.html")
    }
    for name in ("SCVI.fit", "SCVI.latent", "SCVI.compare", "SCVI.save", "SCVI.marginal_loglik", "StoredCounts.open"):
        assert f'id="scvi_core.{name}"' in read["reference/model.html"], name
    for name in ("zifa.method.ZIFA", "fa.FA", "mast.MAST", "simlr.method.SIMLR"):
        assert f'id="baselines.{name}"' in read["generated/methods.html"], name


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
@pytest.mark.parametrize(
    ("words", "wanted"), [("silhouette", "metrics.html"), ("library_encoder", "configuration.html")]
)
def test_the_search_finds_without_a_server(site, words, wanted):
    address = f"{(site / 'search.html').as_uri()}?q={words}"
    call = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=30000",
        "--dump-dom",
        address,
    ]
    shown = subprocess.run(call, capture_output=True, text=True, timeout=120).stdout
    found = re.search(r'<ul[^>]*class="search".*?</ul>', shown, re.S)
    assert found, shown[-2000:]
    assert wanted in found.group()
