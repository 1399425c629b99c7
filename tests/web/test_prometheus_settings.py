"""The command line with `--prometheus`: what goes together with it, and what `openmanager check` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.prometheus import BINARY, WHY_NOT, prometheus
from web.cli import main


@pytest.mark.parametrize("flags", [["--demo"], ["--local"], ["--scrape", "a:9100"], ["--gcp-project", "p"]])
def test_collecting_beside_prometheus_is_refused_at_start(flags: list[str], capsys: Any) -> None:
    assert main(["check", "--prometheus", "http://127.0.0.1:9", *flags]) == 2
    said = capsys.readouterr().err
    assert flags[0].strip("-").replace("-", "_") in said
    assert "would never be read" in said


@pytest.mark.skipif(BINARY is None, reason=WHY_NOT)
def test_check_says_what_answers_there_and_shows_no_password(tmp_path: Path, capsys: Any) -> None:
    with prometheus(tmp_path / "prometheus") as server:
        url = server.replace("//", "//om:s3cret@")
        assert main(["check", "--prometheus", url, "--data-dir", str(tmp_path / "data")]) == 0
        said = capsys.readouterr().out
    assert f"{server}: Prometheus " in said
    assert main(["check", "--prometheus", url, "--data-dir", str(tmp_path / "data")]) == 1
    away = capsys.readouterr().out
    assert "prometheus: refused" in away
    assert "s3cret" not in said + away
