"""What the documents say about settings, commands and routes is what the program has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from web.app import create_app
from web.cli import main
from web.routes import pages
from web.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CODE = re.compile(r"`([^`]+)`")


def test_configuration_lists_every_setting_with_its_flag_its_variable_and_its_default() -> None:
    lines = (ROOT / "docs/configuration.md").read_text("utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `")]
    listed = {CODE.findall(row[0])[0]: tuple(CODE.findall(cell) for cell in row[1:4]) for row in rows}
    assert len(listed) == len(rows), "a setting is listed twice"
    assert listed == {name: _as_written(name) for name in Settings.model_fields}


def _as_written(name: str) -> tuple[list[str], list[str], list[str]]:
    field = Settings.model_fields[name]
    default = field.get_default(call_default_factory=True)
    words = name.replace("_", "-")
    flags = [f"--{words}", f"--no-{words}"] if field.annotation is bool else [f"--{words}"]
    shown = {"None": "none", "True": "true", "False": "false"}.get(str(default), str(default))
    return flags, [f"OPENMANAGER_{name.upper()}"], [shown]


def test_every_command_of_the_documents_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE))
    texts = [README, *(path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md")))]
    named = {name for text in texts for name in re.findall(r"(?:^|[`/])openmanager ([a-z]\w*)", text, re.MULTILINE)}
    assert named == commands


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert named == {"run", "test"}
    assert named <= targets


def test_the_api_page_lists_every_route_and_no_other() -> None:
    text = (ROOT / "docs/api.md").read_text("utf-8")
    listed = {(method, path) for method, path in re.findall(r"`(GET|POST|PUT|DELETE) (/[^` ?]*)`", text)}
    assert listed == _documented_routes() | {
        ("GET", route.path) for route in pages.router.routes if isinstance(route, Route)
    }


def _documented_routes() -> set[tuple[str, str]]:
    paths = create_app(Settings()).openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_links_between_documents_lead_somewhere() -> None:
    texts = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in texts for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))]
    broken = [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()]
    assert not broken
