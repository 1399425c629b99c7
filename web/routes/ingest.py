"""Ways in for senders: Prometheus remote write 1.0 and 2.0. A success means that the samples are on disk."""

from __future__ import annotations

from email.message import Message

from fastapi import APIRouter, Request
from starlette.responses import Response

from monitoring.errors import BadSample
from monitoring.ingest import remote_write, remote_write_v2
from monitoring.ingest.validation import Checked
from monitoring.ingest.written import Written
from web.parts import Parts, parts
from web.routes.prometheus_replies import prometheus_errors, refused, writes

router = APIRouter()
BODY = "application/x-protobuf"
V1, V2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"


@router.post("/api/v1/write", status_code=204, **writes(400, 409, 413, 415, 503, media=BODY))
@prometheus_errors
async def write(request: Request) -> Response:
    """Remote write 1.0 or 2.0, as the content type says. 204 when the samples are on disk."""
    media, proto = _content_type(request)
    encoding = request.headers.get("content-encoding", "snappy").strip().lower()
    if media not in ("", "application/x-protobuf") or proto not in (V1, V2):
        given = request.headers["content-type"]
        return refused(415, "bad_data", f"'{given}' is not understood; send application/x-protobuf;proto={V2} or {V1}")
    if encoding != "snappy":
        return refused(415, "bad_data", f"the content encoding '{encoding}' is not understood; send snappy blocks")
    body = await request.body()
    p = parts(request)
    if proto == V1:
        return _reply(*await _store(p, remote_write.read(body)))
    try:
        written = remote_write_v2.read(body)
    except BadSample as error:
        status = 413 if isinstance(error, remote_write.BodyTooLarge) else 400
        return _counted(refused(status, "bad_data", str(error)), 0)
    found, checked = await _store(p, written)
    return _counted(_reply(found, checked), len(checked.kept))


def _content_type(request: Request) -> tuple[str, str]:
    """Media type and protobuf message; without a content type it is 1.0, as old senders mean it."""
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    media, *_ = request.headers.get("content-type", "").partition(";")
    return media.strip().lower(), str(header.get_param("proto", V1))


async def _store(p: Parts, written: Written) -> tuple[Written, Checked]:
    checked = await p.gate.write(written.batch, "remote_write")
    p.gate.count("remote_write", "bad_labels", written.refused, written.first)
    p.gate.count("remote_write", "native_histogram", written.histograms)
    p.said.note(written.metadata)
    return written, checked


def _reply(written: Written, checked: Checked) -> Response:
    """204 where everything is kept; else 400 (no sender repeats it) with what was not, and why."""
    lost = written.refused + sum(checked.refused.values())
    problems = []
    if lost:
        first = written.first or str(checked.first)
        problems.append(f"{lost} of {lost + len(checked.kept)} samples were refused, the first: {first}")
    if written.histograms:
        problems.append(
            f"{written.histograms} native histogram samples were not kept; send classic histograms "
            "(always_scrape_classic_histograms: true)"
        )
    if not problems:
        return Response(status_code=204)
    return refused(400, "bad_data", f"{'; '.join(problems)}; {len(checked.kept)} samples were kept")


def _counted(reply: Response, samples: int) -> Response:
    """The reply with the counts that 2.0 prescribes. Histograms and exemplars are not kept, so none is written."""
    for kind, count in (("Samples", samples), ("Histograms", 0), ("Exemplars", 0)):
        reply.headers[f"X-Prometheus-Remote-Write-{kind}-Written"] = str(count)
    return reply
