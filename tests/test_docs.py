"""The pages under docs/: what is generated is up to date, what is linked exists, what is named is known."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest

from ruleforge.family import TaskFamily, family_class

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FAMILIES = ("reward", "supervised", "correlation")
LARGEST_FIGURE = 200_000  # bytes
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())


@pytest.fixture(scope="module")
def generate():
    """docs/generate.py as a module."""
    specification = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@EACH_PAGE
def test_generated_sections_are_up_to_date(generate, page):
    text = page.read_text(encoding="utf-8")
    assert generate.filled(text) == text, "run `python docs/generate.py`"


def test_an_outdated_page_is_told(generate, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("# Signals\n\n<!-- generated: signals reward -->\nold\n<!-- end -->\n", encoding="utf-8")
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == "page.md is out of date: run `python docs/generate.py`\n"
    assert "old" in page.read_text(encoding="utf-8")
    assert generate.main([]) == 0
    assert "| `E` | $E$ | 1 | -20 … 20 |" in page.read_text(encoding="utf-8")
    assert generate.main(["--check"]) == 0


def test_bars_in_cells_do_not_break_a_table(generate):
    assert generate.table(("a", "b"), [("|x|", "1")]) == "| a | b |\n| --- | --- |\n| \\|x\\| | 1 |\n"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_page_tells_everything(name):
    text = (DOCS / "families" / f"{name}.md").read_text(encoding="utf-8")
    declared: type[TaskFamily] = family_class(name)
    for what in ("signals", "parameters", "rules", "defaults"):
        assert f"<!-- generated: {what} {name} -->" in text
    assert f"<!-- reproduce: {name} -->" in text
    for parameter in declared.Parameters.model_fields:
        assert f"| `{parameter}` |" in text
    for known in declared.known_rules().values():
        assert known.citation.replace("|", r"\|") in text
    assert "$$" in text


@EACH_PAGE
def test_links_and_pictures_exist(page):
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", prose):
        if not target.startswith(("http://", "https://", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target


def test_figures_are_small_and_shown(generate):
    figures = sorted((DOCS / "figures").glob("*.png"))
    assert {figure.stem for figure in figures} >= set(generate.FIGURES)
    text = "".join(page.read_text(encoding="utf-8") for page in [*PAGES, DOCS.parent / "README.md"])
    for figure in figures:
        assert figure.stat().st_size < LARGEST_FIGURE, figure.name
        assert f"figures/{figure.name})" in text, figure.name


def test_figures_show_known_rules(generate):
    for name, rule in generate.FIGURES.items():
        assert rule in family_class(name).known_rules()


@EACH_PAGE
def test_commands_are_known(page):
    """Every `ruleforge …` in a page is a command of the command line."""
    import api.command_line
    from api.command_line.app import app

    for module in pkgutil.iter_modules(api.command_line.__path__, "api.command_line."):
        importlib.import_module(module.name)  # which registers its commands
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:^|`)ruleforge ([a-z]+)", text, flags=re.MULTILINE)
    assert set(named) <= known, sorted(set(named) - known)
