"""The cold layer of the store: sealed blocks that left Redis, in SQLite by default or in PostgreSQL by URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from monitoring.errors import BadSetting
from monitoring.store.cold_rows import Catalogued, ScenarioRun, Segment, ServerTemplate, Value
from monitoring.store.cold_sqlite import SqliteStore
from monitoring.store.cold_tables import ColdStore

__all__ = ["Catalogued", "ColdStore", "ScenarioRun", "Segment", "ServerTemplate", "Value", "open_cold"]

FILE = "history.db"


def open_cold(url: str | None, data_dir: Path, shard: int = 0) -> ColdStore:
    """The cold store that `url` names (sqlite:///FILE or postgresql://…), else the file in `data_dir`.

    Nothing is opened yet. Raises BadSetting.

    >>> open_cold("sqlite:////var/lib/om/history.db", Path("data")).path
    PosixPath('/var/lib/om/history.db')
    """
    if url is None:
        return SqliteStore(data_dir / FILE, shard)
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        if not url.startswith("sqlite:///") or not parts.path.strip("/"):
            raise BadSetting(f"--database-url '{url}': write sqlite:///FILE, or sqlite:////DIR/FILE for a whole path")
        return SqliteStore(Path(unquote(parts.path[1:])), shard)
    if parts.scheme in ("postgresql", "postgres"):
        return _postgres(url, shard)
    raise BadSetting(f"--database-url begins with '{parts.scheme}:'; it must begin with sqlite:/// or postgresql://")


def _postgres(url: str, shard: int) -> ColdStore:
    try:
        from monitoring.store.cold_postgres import PostgresStore  # an extra: most installations do without
    except ImportError:
        raise BadSetting("--database-url needs the extra: pip install 'openmanager[postgres]'") from None
    return PostgresStore(url, shard)
