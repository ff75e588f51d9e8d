"""Say what happens in the process: one JSON line for each event, to stderr."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
EVENT_CHARACTERS_MAX = 200
"""How much of a library's sentence is told."""
PLACES_MAX = 4
"""How many places of an error are told, the last ones."""

_log = structlog.get_logger()


def configure_telemetry(level: str) -> None:
    """Set up diagnostics of this process, once, before anything logs.

    What lies below the level costs one call that does nothing. Libraries that use the standard
    library's logging are heard from warnings on, in the same form.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[*shared, as_json],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_without_words, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.WARNING), force=True)


def _without_words(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What a library says, without what it says it about: that may be a payload, or an agency's.

    The sentence is told as it stands in the library, its gaps not filled in; of an exception, its
    kind and its places.
    """
    record: logging.LogRecord = event["_record"]
    event["event"] = str(record.msg).partition("\n")[0][:EVENT_CHARACTERS_MAX]
    event["logger"] = record.name
    error = record.exc_info[1] if record.exc_info else None
    event.pop("exc_info", None)
    if error is not None:
        event["error"] = type(error).__name__
        event["places"] = places_of(error)
    return event


def places_of(error: BaseException) -> list[str]:
    """Where an error arose; its text may hold a payload and is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno}" for frame in frames[-PLACES_MAX:]]


def report_broken(error: Exception) -> None:
    """Tell the operator of a mistake of ours, without the message that met it."""
    _log.error("message.broken", error=type(error).__name__, places=places_of(error))
