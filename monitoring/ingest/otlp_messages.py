"""OTLP's messages by HTTP: requests in protobuf or JSON, unpacked and read, and the replies to them.

Source: opentelemetry.io/docs/specs/otlp (OTLP/HTTP).
"""

from __future__ import annotations

import zlib

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from monitoring.errors import BadSample
from monitoring.ingest.wire import LIMIT_BYTES, BodyTooLarge


def unzip(body: bytes, limit: int = LIMIT_BYTES) -> bytes:
    """The content of a gzip body. Raises BodyTooLarge over `limit` bytes, BadSample where it is not whole."""
    parts: list[bytes] = []
    room = limit + 1
    while body or not parts:
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(body, room))
        except zlib.error as error:
            raise BadSample(f"OTLP: not a gzip body ({error})") from None
        room -= len(parts[-1])
        if room <= 0:
            raise BodyTooLarge(f"OTLP: more than {limit} bytes when unpacked")
        if not member.eof:
            raise BadSample("OTLP: the gzip body is cut off")
        body = member.unused_data
    return b"".join(parts)


def parse(body: bytes, *, json: bool) -> ExportMetricsServiceRequest:
    """The request in a body of protobuf or JSON. Raises BadSample that says where it cannot be read."""
    try:
        if json:
            request = ExportMetricsServiceRequest()
            document = orjson.loads(body)
            if not isinstance(document, dict):  # json_format takes an empty list for an empty message
                raise BadSample("OTLP: the body is not a JSON object; send ExportMetricsServiceRequest")
            json_format.ParseDict(document, request, ignore_unknown_fields=True)
        else:
            request = ExportMetricsServiceRequest.FromString(body)
    except (DecodeError, orjson.JSONDecodeError, json_format.ParseError) as error:
        raise BadSample(f"OTLP: the body cannot be read as ExportMetricsServiceRequest ({error})") from None
    # json_format lets these through where a field has a value of a wrong type
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise BadSample(f"OTLP: a field has a value of a wrong type ({error})") from None
    return request


def has_deltas(request: ExportMetricsServiceRequest) -> bool:
    """Whether any series is sent as differences."""
    delta = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    return any(
        delta in (metric.sum.aggregation_temporality, metric.histogram.aggregation_temporality)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.WhichOneof("data") in ("sum", "histogram")
    )


def response(refused: int, message: str, *, json: bool) -> bytes:
    """ExportMetricsServiceResponse; with `refused` data points or a message it is a partial success."""
    reply = ExportMetricsServiceResponse()
    if refused or message:
        partial = ExportMetricsPartialSuccess(rejected_data_points=refused, error_message=message)
        reply.partial_success.CopyFrom(partial)
    if json:
        return orjson.dumps(json_format.MessageToDict(reply))
    return bytes(reply.SerializeToString())


def status(code: int, message: str, *, json: bool) -> bytes:
    """google.rpc.Status: its code is gRPC's, 3 for an invalid argument, 14 for unavailable."""
    if json:
        return orjson.dumps({"code": code, "message": message})
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*octets, number])
