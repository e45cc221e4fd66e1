"""Structured logs: JSON lines for machines, colours for people."""

import logging
import re
import sys

import structlog
from structlog.types import WrappedLogger

from app.settings import Settings

# What PostgreSQL's errors say of values, which may go over several lines: `Key (external_id)=(…)
# already exists`; what pydantic's do; and what others put between quotes. Lines of the stack, which
# are indented, hold source code and no values.
OF_DATABASE = re.compile(
    r"^(DETAIL|CONTEXT):.*?"
    r"(?=^(?:HINT|CONTEXT|QUERY|Traceback|The above|During|\[SQL|\(Background)|\Z)",
    re.MULTILINE | re.DOTALL,
)
OF_PYDANTIC = re.compile(r"input_value=.*?(?=, input_type=)", re.DOTALL)
MESSAGE = re.compile(r"^(?!Traceback|The above|During)\S.*$", re.MULTILINE)
QUOTED = re.compile(r"""'[^'\n]*'|"[^"\n]*\"""")


def without_values(
    logger: WrappedLogger, name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Leave out of a stack what its errors say of values: they may be those of customers."""
    stack = event.get("exception")
    if isinstance(stack, str):
        stack = OF_DATABASE.sub("\\1: left out\n", stack)
        stack = OF_PYDANTIC.sub("input_value=…", stack)
        event["exception"] = MESSAGE.sub(lambda line: QUOTED.sub("'…'", line[0]), stack)
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
