"""The documentation site as a reader sees it, opened from the disk.

`python -m sphinx -W docs site` builds it first.
"""

import html.parser
import pathlib
import urllib.parse

import pytest
from headless_browser import headless_browser

SITE = pathlib.Path(__file__).resolve().parent.parent / "site"
PAGES = [
    path
    for path in sorted(SITE.rglob("*.html"))
    if "_static" not in path.parts  # Templates of the theme.
]

if not PAGES:
    pytest.skip("the site is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    with headless_browser() as browser:
        yield browser


@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_opens_without_a_server(browser, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    problems = []
    page.on("console", lambda message: note_complaint(message, problems))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: note_foreign(request.url, problems))
    page.on("requestfailed", lambda request: problems.append(request.url))
    faults = []
    for path in PAGES:
        page.goto(path.as_uri())
        problems += page.evaluate(FIND_FAULTS)
        faults += [f"{path.relative_to(SITE)}: {text}" for text in problems]
        problems.clear()
    page.close()
    assert not faults, "\n".join(faults)


def note_complaint(message, problems):
    if message.type in ("error", "warning"):
        problems.append(message.text)


def note_foreign(url, problems):
    if not url.startswith(("file:", "data:")):
        problems.append(f"asks another host: {url}")


FIND_FAULTS = """() => {
  const root = document.documentElement;
  const faults = [...document.images]
    .filter(image => image.loading != "lazy")
    .filter(image => !image.complete || !image.naturalWidth)
    .map(image => "picture does not load: " + image.src);
  if (root.scrollWidth > root.clientWidth)
    faults.push(`scrolls sideways: ${root.scrollWidth} pixels`);
  return faults;
}"""


class Links(html.parser.HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.update(filter(None, map(attributes.get, ("id", "name"))))
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])


def test_every_link_within_the_site_leads_somewhere():
    pages = {path: Links(path) for path in PAGES}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = path.parent / urllib.parse.unquote(parts.path)
                target = target.resolve()
            anchor = urllib.parse.unquote(parts.fragment)
            if not target.exists() or (
                anchor
                and target in pages
                and anchor not in pages[target].anchors
            ):
                broken.append(f"{path.relative_to(SITE)}: {link}")
    assert not broken, "\n".join(broken)


def test_the_search_finds_a_class(browser):
    page = browser.new_page()
    page.goto((SITE / "search.html").as_uri() + "?q=LangevinChain")
    found = page.locator("#search-results a[href*='LangevinChain']")
    found.first.wait_for()
    assert "reference/samplers.html" in found.first.get_attribute("href")
    page.close()
