"""Who may import whom, and how long a file may be: read from the source, nothing is imported."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARROWS = {
    "engines": frozenset[str](),
    "monitoring": frozenset({"engines"}),
    "mcp_server": frozenset({"monitoring"}),
    "assistant": frozenset({"monitoring", "engines"}),
    "web": frozenset({"assistant", "mcp_server", "monitoring", "engines"}),
}
"""Package → those of ours that it may import (design/ARCHITECTURE). Nothing imports `web`."""
MOST_LINES = 500


@pytest.mark.parametrize("package", ARROWS)
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    allowed = ARROWS[package] | {package}
    strange = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in imports(path)
        if name in ARROWS and name not in allowed
    ]
    assert strange == []


def test_no_file_is_longer_than_can_be_read_in_one_sitting() -> None:
    ours = [path for folder in (*ARROWS, "tests", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in ours}
    assert len(lengths) > len(ARROWS), "the walk found the packages"
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, top-level package) of each import, those inside functions and type checks included."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node.lineno, node.module.split(".")[0]))
    return found
