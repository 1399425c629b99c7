"""The command `openmanager`: serve, collect, ask, mcp, check, backup, restore. Flags are made from the settings."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from monitoring.errors import BadSetting, OpenManagerError
from web import __version__
from web.settings import Settings, load


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except OpenManagerError as error:
        print(f"openmanager: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `openmanager ask … | head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="openmanager", description="Ask your servers in plain English or Korean.")
    parser.add_argument("--version", action="version", version=f"openmanager {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="collect, answer and show, on one address")
    serve.set_defaults(run=_serve)
    _flags(serve)
    collect = commands.add_parser("collect", help="collect only: scrape, read this machine, keep the store in order")
    collect.set_defaults(run=_collect)
    _flags(collect)
    ask = commands.add_parser("ask", help="ask a running server in this terminal")
    ask.add_argument("question")
    ask.add_argument("--url", default="http://127.0.0.1:8000", help="where the server listens")
    ask.add_argument("--json", action="store_true", help="the whole answer as JSON")
    ask.set_defaults(run=_ask)
    mcp = commands.add_parser("mcp", help="the MCP server alone, on stdio or HTTP")
    mcp.add_argument("--http", metavar="HOST:PORT", help="serve streamable HTTP at /mcp instead of stdio")
    mcp.set_defaults(run=_mcp)
    _flags(mcp)
    check = commands.add_parser("check", help="read the settings and try the connections")
    check.set_defaults(run=_check)
    _flags(check)
    backup = commands.add_parser("backup", help="write all that is kept into one file, while the server runs")
    backup.add_argument("file", type=Path, help="a file that does not exist yet")
    backup.set_defaults(run=_backup)
    _flags(backup)
    restore = commands.add_parser("restore", help="fill an empty store with what a backup holds")
    restore.add_argument("file", type=Path, help="a file that `openmanager backup` wrote")
    restore.add_argument("--replace", action="store_true", help="remove first what the store has")
    restore.set_defaults(run=_restore)
    _flags(restore)
    return parser


def _flags(parser: argparse.ArgumentParser) -> None:
    """A flag for each setting: `--scrape-interval`, `--demo/--no-demo`."""
    for name, field in Settings.model_fields.items():
        flag, kind = f"--{name.replace('_', '-')}", field.annotation
        help_text = f"{field.description} (default: {field.get_default(call_default_factory=True)})"
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=help_text)
        elif get_origin(kind) is list:
            parser.add_argument(flag, action="extend", nargs="+", default=None, help=help_text)
        else:
            plain = next((k for k in get_args(kind) if k is not type(None)), kind)
            convert: Any = plain if plain in (int, float, Path) else str
            parser.add_argument(flag, type=convert, default=None, help=help_text)


def _settings(args: argparse.Namespace) -> Settings:
    settings = load(**{name: getattr(args, name) for name in Settings.model_fields})
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("mcp").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return settings


def _serve(args: argparse.Namespace) -> int:
    import uvicorn

    from web.app import create_app

    settings = _settings(args)
    if not settings.loopback:
        raise BadSetting(
            f"refusing to listen on '{settings.host}' without authentication, which this version does not have yet; "
            "listen on 127.0.0.1 and put an authenticating proxy in front"
        )
    if settings.workers > 1:
        from web.workers import supervise

        asyncio.run(supervise(settings))
        return 0
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        access_log=False,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run()
    return 0


def _collect(args: argparse.Namespace) -> int:
    from web.alone import collect

    asyncio.run(collect(_settings(args), args.port))
    return 0


def _ask(args: argparse.Namespace) -> int:
    body = json.dumps({"query": args.question, "context": _zone()}).encode()
    request = urllib.request.Request(f"{args.url.rstrip('/')}/api/ai-agent", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            data = json.load(reply)["data"]
    except urllib.error.HTTPError as error:
        raise BadSetting(_message(error.read())) from None
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise BadSetting(f"no OpenManager answers at {args.url} ({error}); start it with `openmanager serve`") from None
    if args.json:
        print(json.dumps(data, ensure_ascii=False, indent=2))
        return 0
    print(data["response"])
    for item in data["evidence"][:3]:
        print(f"  PromQL: {item['query']}")
    falls = "".join(f", {f['way']} failed: {f['cause']}" for f in data["fallbacks"])
    print(f"  [{data['engine']}, confidence {data['confidence']:.0%}, {data['processingTime']:.0f} ms{falls}]")
    return 0


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:300]


def _zone() -> dict[str, Any]:
    """The time zone of this terminal, where the system names it."""
    link = Path("/etc/localtime")
    name = str(link.resolve()).partition("zoneinfo/")[2] if link.exists() else ""
    return {"timezone": name} if name else {}


def _mcp(args: argparse.Namespace) -> int:
    from web.alone import serve_http, serve_stdio

    settings = _settings(args)
    asyncio.run(serve_http(settings, args.http) if args.http else serve_stdio(settings))
    return 0


def _check(args: argparse.Namespace) -> int:
    from web.alone import check

    settings = _settings(args)
    facts = asyncio.run(check(settings))
    for name, value in facts.items():
        print(f"{name}: {value}")
    sound = all(facts.get(name, "connected") == "connected" for name in ("store", "prometheus"))
    return 0 if sound and "problem 1" not in facts else 1


def _backup(args: argparse.Namespace) -> int:
    from web.alone import make_backup

    print(asyncio.run(make_backup(_settings(args), args.file)))
    return 0


def _restore(args: argparse.Namespace) -> int:
    from web.alone import restore_backup

    print(asyncio.run(restore_backup(_settings(args), args.file, replace=args.replace)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
