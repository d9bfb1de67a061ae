"""The report, opened in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from pcft.config.figure_registry import OF_EXPERIMENT as FIGURES
from tests.support.browser import complaints, opened, requests
from tests.support.workspace import Workspace

CATEGORIES = ["1 Results", "2 Trust", "3 Costs", "5 Corpora"]
HREFS = "return Array.from(document.querySelectorAll('a[href]'), a => a.href)"
CAPTIONS = """return Object.values(results).map(result => {
    const shown = document.createElement('div');
    shown.innerHTML = result.caption;
    document.body.append(shown);
    return [result.name, Array.from(shown.querySelectorAll('a[href]'), a => a.href)];
})"""


@pytest.fixture
def report(done: Workspace, tmp_path: Path) -> Iterator[Chrome]:
    with opened(done.folder / "results/report.html", tmp_path / "profile") as browser:
        yield browser


def waiting(browser: Chrome) -> WebDriverWait[Chrome]:
    return WebDriverWait(browser, 30)


def choose(browser: Chrome, text: str) -> None:
    """Click on an entry of the menu."""
    waiting(browser).until(lambda b: b.find_elements(By.XPATH, f"//nav//a[normalize-space()='{text}']"))[0].click()


def files(addresses: list[str]) -> list[Path]:
    """Return the files that links lead to, those that stay on the page aside."""
    return [Path(unquote(parts.path)) for parts in map(urlsplit, addresses) if parts.scheme == "file" and not parts.fragment]


def test_every_figure_and_table_shows(report: Chrome) -> None:
    figures, tables = [], []
    for category in CATEGORIES:
        for subcategory in ["places"] if category == "5 Corpora" else ["main", "other"]:
            choose(report, category)
            if category != "5 Corpora":
                choose(report, subcategory)
            rows = waiting(report).until(lambda b: b.find_elements(By.CSS_SELECTOR, "nav tbody tr"))
            for number in range(len(rows)):
                row = report.find_elements(By.CSS_SELECTOR, "nav tbody tr")[number]
                what, kind = (cell.text for cell in row.find_elements(By.TAG_NAME, "td")[:2])
                if kind == "CSV file":
                    continue  # for download
                row.find_element(By.CSS_SELECTOR, "td:last-child a").click()
                if kind == "figure":
                    width = waiting(report).until(lambda b: b.execute_script("return document.querySelector('.grow img').naturalWidth"))
                    assert width > 300
                    figures.append(what)
                else:
                    frame = waiting(report).until(lambda b: b.find_elements(By.TAG_NAME, "iframe"))[0]
                    report.switch_to.frame(frame)
                    waiting(report).until(lambda b: b.find_elements(By.CSS_SELECTOR, "tbody tr"))
                    assert not report.find_elements(By.TAG_NAME, "a"), "from a frame within the report, links lead nowhere"
                    report.switch_to.default_content()
                    tables.append(what)
            report.find_elements(By.CSS_SELECTOR, "nav a")[1].click()  # back to the menu
    assert sorted(figures) == sorted([*FIGURES, *FIGURES, "mixture"])
    assert sorted(tables) == sorted(2 * ["final loss and perplexity", "ledger of the runs"] + ["data card"])
    assert not complaints(report)


def test_it_works_offline(report: Chrome) -> None:
    waiting(report).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#rulegraph canvas, #rulegraph svg"))
    choose(report, "Statistics")
    waiting(report).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#timeline canvas, #timeline svg"))
    asked = requests(report)
    assert asked
    assert {urlsplit(address).scheme for address in asked} <= {"file", "data", "blob"}
    assert {address for address in asked if address.startswith("file:")} == {report.current_url.partition("#")[0]}
    assert not complaints(report)


def test_the_first_page_leads_to_settings_runs_and_versions(report: Chrome, done: Workspace) -> None:
    text = report.find_element(By.CSS_SELECTOR, ".prose").text
    for expected in ("Model tiny; 3 clients", "torch 2.", "Tables by pcft ", "snakemake 9."):
        assert expected in text
    linked = set(files(report.execute_script(HREFS)))
    runs = done.folder / "results/runs"
    assert {runs / "main/settings.json", runs / "main/local", runs / "main/fedavg", runs / "other/local"} <= linked
    assert all(path.exists() for path in linked)
    report.find_element(By.LINK_TEXT, "fedavg").click()
    waiting(report).until(lambda b: "seed=1" in b.page_source)
    assert report.title.startswith("Index of")


def test_captions_name_the_runs_behind(report: Chrome, done: Workspace) -> None:
    captions = dict(report.execute_script(CAPTIONS))
    for name, links in captions.items():
        found = files(links)
        assert found, name
        assert all(path.exists() for path in found), name
        runs = [path for path in found if path.is_relative_to(done.folder / "results/runs")]
        if "places" in name:
            assert done.folder / "results/corpora/places/tiny" in found
        elif Path(name).stem == "perplexity":  # a table over all experiments
            assert runs == [done.folder / "results/runs/main", done.folder / "results/runs/other"], name
        elif Path(name).stem == "improvement":  # a figure over them
            made_from = ("main/local", "main/fedavg", "other/local")
            assert runs == [done.folder / f"results/runs/{run}/seed=1" for run in made_from], name
        else:
            experiment = "main" if "main" in name else "other"
            strategies = ["local", "fedavg"] if experiment == "main" else ["local"]
            assert runs == [done.folder / f"results/runs/{experiment}/{strategy}/seed=1" for strategy in strategies], name


def test_pages_of_tables_lead_to_the_runs(done: Workspace, tmp_path: Path) -> None:
    with opened(done.folder / "results/tables/final-main.html", tmp_path / "profile") as browser:
        linked = set(files(browser.execute_script(HREFS)))
        assert linked == {done.folder / "results/runs/main" / strategy for strategy in ("local", "fedavg")}
        assert all(path.is_dir() for path in linked)
        assert not complaints(browser)
