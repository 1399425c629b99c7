"""Mending the embedded server's log of writes: everything before the damage is kept, nothing is deleted.

The server itself starts over a log that just ends too early. This is for one that it refuses: a disk that returned
other bytes than were written.
"""

from __future__ import annotations

import logging
import mmap
import shutil
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER = "appendonlydir"
_REFUSALS = (
    "Bad file format reading the append only file",
    "Fatal error loading the DB",
    "Short read or OOM loading DB",
)


def is_damage(said: str) -> bool:
    """Whether the server's last words mean that its files are damaged."""
    return any(refusal in said for refusal in _REFUSALS)


def mend(directory: Path) -> bool:
    """Make the log in `directory` readable again; the damaged one stays beside it as `appendonlydir.corrupt-N`.

    A damaged part is cut off at its last whole command. Where none of the parts shows damage, the server has to begin
    without them. Returns whether there was anything to mend.
    """
    folder = directory / FOLDER
    if not folder.is_dir():
        return False
    aside = next(p for n in range(1, 1_000) if not (p := directory / f"{FOLDER}.corrupt-{n}").exists())
    parts = sorted(folder.glob("*.incr.aof"))
    cuts = {part: good for part in parts if (good := sound_bytes(part)) < part.stat().st_size}
    if not cuts:
        folder.rename(aside)
        log.error("store.damaged kept=%s the store begins anew from its history", aside)
        return True
    shutil.copytree(folder, aside)
    for part, good in cuts.items():
        lost = part.stat().st_size - good
        with part.open("r+b") as file:
            file.truncate(good)
        log.error("store.damaged file=%s cut_off_bytes=%d kept=%s", part.name, lost, aside)
    return True


def sound_bytes(path: Path) -> int:
    """How many bytes at the beginning of a log are whole commands (RESP arrays of bulk strings)."""
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        good = 0
        while good < len(body):
            end = _command(body, good)
            if end is None:
                break
            good = end
        return good


def _command(body: mmap.mmap, start: int) -> int | None:
    """The place after the command at `start`; None where there is no whole one. Lines of comments count as commands."""
    if body[start : start + 1] == b"#":
        end = body.find(b"\r\n", start)
        return None if end < 0 else end + 2
    read = _number(body, start, b"*")
    if read is None:
        return None
    words, at = read
    for _ in range(words):
        read = _number(body, at, b"$")
        if read is None:
            return None
        length, at = read
        at += length + 2
        if at > len(body) or body[at - 2 : at] != b"\r\n":
            return None
    return at


def _number(body: mmap.mmap, start: int, mark: bytes) -> tuple[int, int] | None:
    """The number after `mark`, and the place after its line."""
    end = body.find(b"\r\n", start, start + 32)
    digits = body[start + 1 : end] if end > 0 else b""
    if body[start : start + 1] != mark or not digits.isdigit():
        return None
    return int(digits), end + 2
