"""How a target is scraped: how often, with which credentials, within which limits, and what its page is turned into."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path

from monitoring.errors import BadSetting, TargetDown
from monitoring.ingest.relabel import Rule


@dataclass(frozen=True, slots=True)
class Credentials:
    """What stands in `Authorization`. The secret is read at each scrape, so that it can change while we run."""

    username: str | None = None
    """None for a bearer token."""
    file: Path | None = None
    variable: str | None = None
    """The name of an environment variable."""
    secret: str = field(default="", repr=False)
    """Only of an address that carries it (`https://user:password@host`)."""

    def header(self) -> str:
        """The header's value. Raises TargetDown where the secret cannot be read."""
        secret = self._read()
        if self.username is None:
            return f"Bearer {secret}"
        return "Basic " + b64encode(f"{self.username}:{secret}".encode()).decode()

    def _read(self) -> str:
        if self.variable is not None:
            if (found := os.environ.get(self.variable)) is None:
                raise TargetDown(f"the environment variable '{self.variable}' with the secret is not set")
            return found
        if self.file is None:
            return self.secret
        try:
            return self.file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise TargetDown(f"the secret in '{self.file}' cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a group of the targets file says about scraping. None: what the settings say."""

    interval_s: float | None = None
    timeout_s: float | None = None
    body_limit: int | None = None
    sample_limit: int = 0
    """Samples of one page after relabelling; beyond it the whole scrape fails. 0: any number."""
    honor_labels: bool = False
    credentials: Credentials | None = None
    ca_file: Path | None = None
    insecure_skip_verify: bool = False
    metric_rules: tuple[Rule, ...] = ()

    def tls(self) -> ssl.SSLContext | bool:
        """The way to check an https target's certificate. Raises BadSetting where `ca_file` cannot be used."""
        if self.insecure_skip_verify:
            return False
        if self.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadSetting(f"ca_file '{self.ca_file}' cannot be used: {error}") from None


DEFAULTS = Terms()
