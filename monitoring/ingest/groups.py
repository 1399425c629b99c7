"""The groups of a targets file: checked once, with the file's name and the place in every complaint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from monitoring.errors import BadQuery, BadSetting
from monitoring.ingest.relabel import Rule
from monitoring.ingest.targets import JOB, DroppedTarget, Manner, Target, found
from monitoring.ingest.terms import Credentials, Terms
from monitoring.model import Labels
from monitoring.windows import duration, seconds

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SIZES = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30}
Entry = tuple[str, Labels]
"""An address and the labels that are given with it."""


def _seconds(value: Any) -> Any:
    """A Prometheus duration, or seconds as a number."""
    try:
        return seconds(value) if isinstance(value, str) else value
    except BadQuery as error:
        raise ValueError(str(error)) from None


def _bytes(value: Any) -> Any:
    """Bytes as a number, or as `10MB`, `1MiB`, `512KB`: binary all, as in Prometheus."""
    if not isinstance(value, str):
        return value
    hit = re.fullmatch(r"(\d+)\s*([KMG]?)i?(?:B)?", value.strip())
    if hit is None:
        raise ValueError(f"'{value}' is not a size; write for example 10MB")
    return int(hit[1]) * _SIZES[hit[2]]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]


class BasicAuth(BaseModel):
    """A user, and where the password is found."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    username: str
    password_file: Path | None = None
    password_env: str | None = None
    password: str | None = None

    @model_validator(mode="after")
    def _by_reference(self) -> BasicAuth:
        if self.password is not None:
            raise ValueError("a password does not stand in a file of targets: write password_file or password_env")
        if (self.password_file is None) == (self.password_env is None):
            raise ValueError("password_file or password_env is needed, one of them")
        return self


class DnsNames(BaseModel):
    """Names that a DNS server turns into targets, again and again."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    names: tuple[str, ...] = Field(min_length=1)
    type: Literal["A", "AAAA", "SRV"] = "SRV"
    port: int | None = Field(None, ge=1, le=65535)
    refresh_interval: Seconds = 30.0

    @model_validator(mode="after")
    def _with_port(self) -> DnsNames:
        if self.type != "SRV" and self.port is None:
            raise ValueError(f"records of type {self.type} carry no port: write port")
        return self


class Group(BaseModel):
    """One entry of a targets file: where its targets come from, and how they are scraped."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    targets: list[str] = []
    labels: dict[str, str] = {}
    file_sd: list[str] = []
    dns_sd: list[DnsNames] = []
    job: str = JOB
    interval: Seconds | None = None
    timeout: Seconds | None = None
    scheme: Literal["http", "https"] | None = None
    path: str | None = None
    params: dict[str, list[str]] = {}
    honor_labels: bool = False
    basic_auth: BasicAuth | None = None
    bearer_token_file: Path | None = None
    bearer_token_env: str | None = None
    bearer_token: str | None = None
    ca_file: Path | None = None
    insecure_skip_verify: bool = False
    sample_limit: int = Field(0, ge=0)
    body_limit: Bytes | None = None
    relabel_configs: list[Rule] = []
    metric_relabel_configs: list[Rule] = []

    @model_validator(mode="after")
    def _sound(self) -> Group:
        for name in self.labels:
            if not _LABEL_NAME.fullmatch(name):
                raise ValueError(f"'{name}' is not a label name")
        if self.timeout and self.interval and self.timeout >= self.interval:
            raise ValueError(
                f"timeout {duration(self.timeout)} is not shorter than interval {duration(self.interval)}: "
                "a scrape has to end before the next begins"
            )
        if self.bearer_token is not None:
            raise ValueError("a token does not stand in a file of targets: write bearer_token_file or bearer_token_env")
        if sum(way is not None for way in (self.basic_auth, self.bearer_token_file, self.bearer_token_env)) > 1:
            raise ValueError("basic_auth, bearer_token_file and bearer_token_env exclude each other")
        return self


@dataclass(frozen=True, slots=True)
class Job:
    """A group, ready to make targets of what is found."""

    place: str
    """The file and the group in it, for complaints."""
    manner: Manner
    entries: tuple[Entry, ...]
    globs: tuple[str, ...]
    names: tuple[DnsNames, ...]

    def make(self, entries: Iterable[Entry]) -> list[Target | DroppedTarget]:
        """The targets at these addresses. Raises BadSetting, naming the group."""
        try:
            made = [found(address, labels, self.manner) for address, labels in entries]
            for one in made:
                if isinstance(one, Target):
                    _check_terms(one.terms)
            return made
        except BadSetting as error:
            raise BadSetting(f"{self.place}: {error}") from None


def job(path: Path, place: str, raw: Any, *, port_optional: bool = False) -> Job:
    """One group as written. Raises BadSetting, naming the file, the group and the field."""
    where = f"targets file '{path}', {place}"
    try:
        group = Group.model_validate(raw)
    except ValidationError as error:
        raise BadSetting(f"{where}: {_complaint(error)}") from None
    given: dict[str, str] = {
        "job": group.job,
        "__scheme__": group.scheme or "",
        "__metrics_path__": group.path or "",
        "__scrape_interval__": _written(group.interval),
        "__scrape_timeout__": _written(group.timeout),
    }
    manner = Manner(
        {name: value for name, value in given.items() if value},
        tuple(group.relabel_configs),
        group.params,
        _terms(group, path.parent),
        port_optional or bool(group.relabel_configs),
    )
    globs = tuple(str(path.parent / pattern) for pattern in group.file_sd)
    entries = tuple((address, group.labels) for address in group.targets)
    found_there = Job(where, manner, entries, globs, tuple(group.dns_sd))
    try:
        found_there.manner.terms.tls()  # a file that is not there is told at once
    except BadSetting as error:
        raise BadSetting(f"{where}: {error}") from None
    return found_there


def entries_of(path: Path, raw: Any) -> list[Entry]:
    """The addresses of a file in Prometheus' file_sd format. Raises BadSetting."""
    found_entries: list[Entry] = []
    for number, one in enumerate(a_list(path, raw), 1):
        try:
            group = FileGroup.model_validate(one)
        except ValidationError as error:
            raise BadSetting(f"targets file '{path}', group {number}: {_complaint(error)}") from None
        found_entries += [(address, group.labels) for address in group.targets]
    return found_entries


class FileGroup(BaseModel):
    """One entry of a file_sd file."""

    model_config = ConfigDict(extra="forbid")
    targets: list[str]
    labels: dict[str, str] = {}


def a_list(path: Path, raw: Any) -> Sequence[Any]:
    """`raw` where it is a list. Raises BadSetting."""
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        raise BadSetting(f"targets file '{path}': a list of groups is expected")
    return raw


def _terms(group: Group, folder: Path) -> Terms:
    def near(path: Path | None) -> Path | None:
        """Relative paths are meant from the file that names them, as in Prometheus."""
        return None if path is None else folder / path

    credentials = None
    if (user := group.basic_auth) is not None:
        credentials = Credentials(user.username, near(user.password_file), user.password_env)
    elif group.bearer_token_file or group.bearer_token_env:
        credentials = Credentials(None, near(group.bearer_token_file), group.bearer_token_env)
    return Terms(
        interval_s=group.interval,
        timeout_s=group.timeout,
        body_limit=group.body_limit or None,
        sample_limit=group.sample_limit,
        honor_labels=group.honor_labels,
        credentials=credentials,
        ca_file=near(group.ca_file),
        insecure_skip_verify=group.insecure_skip_verify,
        metric_rules=tuple(group.metric_relabel_configs),
    )


def _check_terms(terms: Terms) -> None:
    """Relabelling may have changed them."""
    if terms.timeout_s and terms.interval_s and terms.timeout_s > terms.interval_s:
        raise BadSetting(f"timeout {terms.timeout_s:g} s is longer than interval {terms.interval_s:g} s")


def _written(length_s: float | None) -> str:
    return "" if length_s is None else f"{round(length_s * 1000)}ms" if length_s % 1 else duration(length_s)


def _complaint(error: ValidationError) -> str:
    """What is wrong first, and where: rules are counted from 1."""
    first: Mapping[str, Any] = error.errors()[0]
    place = ""
    for part in first["loc"]:
        place += f" {part + 1}" if isinstance(part, int) else f"{' ' if place else ''}{part}"
    text = first["msg"].removeprefix("Value error, ")
    return f"{place or 'the entry'}: {text}"
