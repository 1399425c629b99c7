"""Every setting, with a default that works on a laptop. Flags, environment and file name the same fields."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from monitoring.environment import PROFILES, STAGES
from monitoring.errors import BadQuery, BadSetting
from monitoring.windows import seconds

FILE = "openmanager.toml"
COLLECTING = ("local", "demo", "scrape", "targets", "founding_keys", "founding_redis_url", "gcp_project")
"""Settings by which samples come into our own store."""
ABOUT_REMOTE = (
    *("prometheus_user", "prometheus_password_file", "prometheus_token_file"),
    *("prometheus_ca", "prometheus_cert", "prometheus_key", "prometheus_tenant"),
)


class Settings(BaseSettings):
    """Read from flags, then `OPENMANAGER_…` in the environment, then `openmanager.toml`, then the defaults."""

    model_config = SettingsConfigDict(env_prefix="OPENMANAGER_", toml_file=FILE, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on. Beyond loopback needs authentication.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    data_dir: Path = Field(Path("data"), description="Folder of the embedded store and of the history.")
    redis_url: str | None = Field(None, description="Use this Redis or Valkey instead of the embedded one.")
    redis_ca: Path | None = Field(None, description="File of the authorities that may vouch for Redis (rediss://).")
    redis_cert: Path | None = Field(None, description="File of our certificate, where Redis asks for one.")
    redis_key: Path | None = Field(None, description="File of the private key of `redis_cert`.")
    redis_tls_required: bool = Field(False, description="Refuse a `redis_url` that is not encrypted.")
    database_url: str | None = Field(
        None,
        description="Keep history in this database (postgresql://…, sqlite:///FILE) instead of DATA_DIR/history.db.",
    )
    collect: bool = Field(True, description="Collect in this process; off where `openmanager collect` runs elsewhere.")
    lease_ttl: float = Field(
        10.0, ge=1, le=300, description="Seconds after which another collector takes over from one that fell silent."
    )
    scrape: list[str] = Field(default_factory=list, description="Targets to scrape, HOST:PORT[/path]; repeatable.")
    targets: Path | None = Field(
        None, description="File of scrape targets (JSON, TOML or prometheus.yml), read again when it changes."
    )
    scrape_interval: float = Field(15.0, ge=1, le=3600, description="Seconds between two scrapes of a target.")
    scrape_timeout: float = Field(10.0, gt=0, description="Seconds after which a scrape counts as failed.")
    local: bool = Field(True, description="Collect this machine's own metrics.")
    demo: bool = Field(False, description="Run the simulated fleet; its servers are marked as simulated everywhere.")
    demo_seed: int = Field(1, ge=1, description="Seed of the simulated fleet: the same seed gives the same figures.")
    demo_metrics: Path | None = Field(None, description="File of further metrics of the simulated servers (TOML).")
    profile: str = Field(
        "auto", description="Size and pace of the simulated fleet: local, premium, basic, or auto by this machine."
    )
    environment: str = Field("auto", description="development, staging or production; auto reads APP_ENV and the like.")
    disabled_plugins: list[str] = Field(
        default_factory=list, description="Plugins of the simulated fleet to leave out."
    )
    founding_keys: bool = Field(True, description="Read servers that others write into Redis, where there are any.")
    founding_redis_url: str | None = Field(None, description="Read them from this Redis, not from the store's.")
    gcp_project: str | None = Field(None, description="Read Google Cloud Monitoring of this project (extra `gcp`).")
    gcp_endpoint: str = Field("https://monitoring.googleapis.com", description="Where that API is.")
    gcp_token_file: Path | None = Field(None, description="File with an access token, in place of Google's own login.")
    retention: str = Field("30d", description="How long samples are kept, as a duration.")
    rollup_retention: str = Field("400d", description="How long samples rolled up by five minutes are kept.")
    rules: list[str] = Field(
        default_factory=list, description="Rule files in Prometheus' format; paths, with * for several; repeatable."
    )
    default_rules: bool = Field(True, description="Evaluate the rules that come with the product, too.")
    rule_interval: float = Field(15.0, ge=0.1, le=3600, description="Seconds between two evaluations of the rules.")
    detect: bool = Field(True, description="Learn what is normal, and score servers against it as samples come.")
    detect_interval: float = Field(60.0, ge=0.1, le=300, description="Seconds between two rounds of scores.")
    baseline_interval: str = Field("6h", description="How often what is normal is learnt anew, as a duration.")
    alert_history: str = Field("400d", description="How long it is known which alerts fired, as a duration.")
    alert_flap_changes: int = Field(
        6, ge=1, description="An alert that begins or ends more often within the window is flapping, and told once."
    )
    alert_flap_window: str = Field("30m", description="That window, as a duration.")
    alert_webhook: list[str] = Field(
        default_factory=list, description="Post alerts here (Alertmanager's webhook format); URL or @FILE.", repr=False
    )
    alert_slack: list[str] = Field(
        default_factory=list, description="Post alerts here as a text for Slack; URL or @FILE.", repr=False
    )
    alertmanager: list[str] = Field(
        default_factory=list, description="Send alerts to this Alertmanager; its base URL or @FILE.", repr=False
    )
    alert_token_file: Path | None = Field(None, description="File of a bearer token for webhooks and Alertmanagers.")
    alert_group_by: list[str] = Field(
        default=["server"], description="Labels by which alerts are told together; ... for each by itself."
    )
    alert_group_wait: str = Field("30s", description="How long a new group waits for more, as a duration.")
    alert_group_interval: str = Field("5m", description="Least time between two messages about one group.")
    alert_repeat_interval: str = Field("4h", description="After this, what still fires is told again.")
    alert_link: str | None = Field(None, description="Our address in messages (default: http://HOST:PORT).")
    session_ttl: str = Field("24h", description="How long a conversation can be taken up again, as a duration.")
    cache: int = Field(512, ge=16, description="Mebibytes of decoded samples that a process keeps in memory.")
    admin_api: bool = Field(False, description="Allow the admin API (deleting series).")
    mcp_url: str | None = Field(None, description="Use the MCP server at this URL for the engine's own calls.")
    mcp_timeout: float = Field(2.0, gt=0, le=10, description="Seconds after which a tool call falls back to direct.")
    prometheus: str | None = Field(
        None, description="Read from this Prometheus-compatible server; nothing is collected then.", repr=False
    )
    prometheus_user: str | None = Field(None, description="User at that server, with `prometheus_password_file`.")
    prometheus_password_file: Path | None = Field(None, description="File of that user's password.")
    prometheus_token_file: Path | None = Field(None, description="File of a bearer token for that server.")
    prometheus_ca: Path | None = Field(None, description="File of the authorities that may vouch for it (https://).")
    prometheus_cert: Path | None = Field(None, description="File of our certificate, where it asks for one.")
    prometheus_key: Path | None = Field(None, description="File of the private key of `prometheus_cert`.")
    prometheus_tenant: str | None = Field(None, description="Tenant to read (X-Scope-OrgID), as Mimir has them.")
    prometheus_timeout: float = Field(
        5.0, gt=0, le=120, description="Seconds that a reading from it may take; a query at /api/v1 has at least 30."
    )
    workers: int = Field(
        1, ge=1, description="Web processes on the port; beside several, a process of its own collects."
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    @field_validator(
        *("session_ttl", "retention", "rollup_retention", "alert_history", "alert_flap_window", "baseline_interval"),
        *("alert_group_wait", "alert_group_interval", "alert_repeat_interval"),
    )
    @classmethod
    def _a_duration(cls, text: str) -> str:
        try:
            seconds(text)
        except BadQuery as error:
            raise ValueError(str(error)) from None
        return text

    @field_validator("profile", "environment", mode="after")
    @classmethod
    def _one_of(cls, word: str, info: ValidationInfo) -> str:
        known = ("auto", *(PROFILES if info.field_name == "profile" else STAGES))
        if word.lower() not in known:
            raise ValueError(f"'{word}' is none of {', '.join(known)}")
        return word.lower()

    @field_validator("alert_webhook", "alert_slack", "alertmanager")
    @classmethod
    def _addresses(cls, texts: list[str]) -> list[str]:
        """They are secrets: the message does not repeat them."""
        if any(not text.startswith(("http://", "https://", "@")) for text in texts):
            raise ValueError("an address is an http:// or https:// URL, or @FILE")
        return texts

    @model_validator(mode="after")
    def _one_place_to_read(self) -> Settings:
        """With `prometheus` nothing is collected: those samples would never be read."""
        given = [name for name in COLLECTING if name in self.model_fields_set and getattr(self, name)]
        if self.prometheus is None:
            if others := [name for name in ABOUT_REMOTE if getattr(self, name) is not None]:
                raise ValueError(f"{', '.join(others)} goes with prometheus, the URL of a server to read from")
            return self
        if given:
            raise ValueError(
                f"{', '.join(given)} and prometheus exclude each other: what is collected here would never be read; "
                "let that server scrape it, or leave prometheus out"
            )
        for name in ("collect", "local", "founding_keys"):
            setattr(self, name, False)
        return self

    @property
    def session_ttl_s(self) -> float:
        """How long a conversation is kept, in seconds."""
        return seconds(self.session_ttl)

    @property
    def alert_history_s(self) -> float:
        """How long the history of alerts is kept, in seconds."""
        return seconds(self.alert_history)

    @property
    def baseline_interval_s(self) -> float:
        """How often baselines are fitted, in seconds."""
        return seconds(self.baseline_interval)

    @property
    def alert_flap_window_s(self) -> float:
        """The window in which changes are counted, in seconds."""
        return seconds(self.alert_flap_window)

    @property
    def retention_s(self) -> float:
        """The retention in seconds."""
        return seconds(self.retention)

    @property
    def rollup_retention_s(self) -> float:
        """The retention of rolled up samples in seconds."""
        return seconds(self.rollup_retention)

    @property
    def loopback(self) -> bool:
        """True where only this machine can reach us."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before environment before file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(**flags: Any) -> Settings:
    """The settings in force. Raises BadSetting that names each wrong field."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        wrong = "; ".join(map(_said, error.errors()))
        raise BadSetting(f"settings cannot be used: {wrong} (see docs/configuration.md)") from None
    except ValueError as error:
        raise BadSetting(f"settings cannot be read: {error}") from None


def _said(error: Any) -> str:
    """The field and what is wrong with it; of fields that do not go together, only the latter."""
    place, message = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
