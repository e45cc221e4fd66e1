"""Structured logs: JSON lines for machines, colours for people."""

import logging
import re
import sys

import structlog
from structlog.types import WrappedLogger

from app.settings import Settings

# Lines of PostgreSQL's errors that name values: `Key (external_id)=(…) already exists`.
VALUES = re.compile(r"^(DETAIL|CONTEXT):.*$", re.MULTILINE)


def without_values(
    logger: WrappedLogger, name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Leave out of a stack what the database says of the values that it refused."""
    if isinstance(event.get("exception"), str):
        event["exception"] = VALUES.sub(r"\1: left out", event["exception"])
    return event


def configure_logs(settings: Settings) -> None:
    """Send our log lines and those of the libraries to standard error."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = settings.log_format == "json"
    render: list[structlog.types.Processor] = (
        [
            structlog.processors.format_exc_info,
            without_values,
            structlog.processors.JSONRenderer(),
        ]
        if as_json
        else [
            structlog.processors.format_exc_info,
            without_values,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Asked for anew each time: whoever replaces sys.stderr gets the lines that follow.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
