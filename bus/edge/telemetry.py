"""Say what happens in the process: one JSON line for each event, to stderr."""

from __future__ import annotations

import logging
import sys
import traceback

import structlog

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
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
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.WARNING), force=True)


def places_of(error: BaseException) -> list[str]:
    """Where an error arose; its text may hold a payload and is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno}" for frame in frames[-PLACES_MAX:]]


def report_broken(error: Exception) -> None:
    """Tell the operator of a mistake of ours, without the message that met it."""
    _log.error("message.broken", error=type(error).__name__, places=places_of(error))
