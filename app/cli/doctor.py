"""`bailiwick doctor`: what is wrong, and what to do."""

from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.table import Table

from app.cli.session import console, print_json
from app.db import host_checks
from app.db.access import Access
from app.db.checks import SERVER_CHECKS, Finding, look, ogc_off
from app.db.cluster import Cluster
from app.db.data_checks import DATA_CHECKS
from app.errors import SetupError
from app.main import BUILT_PAGE
from app.settings import Settings, load_settings

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}
CONNECT_TIMEOUT_S = 5


def doctor(
    is_deep: Annotated[
        bool, typer.Option("--deep", help="Read all of the private cluster for damage")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Look at everything that the service needs; the exit status is 1 when something has failed."""
    findings = examine(load_settings(), is_deep=is_deep)
    if as_json:
        print_json([finding.document() for finding in findings])
    else:
        _show(findings)
    raise typer.Exit(int(any(finding.state == "failed" for finding in findings)))


def examine(settings: Settings, *, is_deep: bool) -> list[Finding]:
    """Return a finding for each thing; what needs the database is left out where it is away."""
    cluster = Cluster(settings.home) if settings.database_url is None else None
    findings = host_checks.disks(settings.home, cluster)
    if cluster is not None:
        findings.append(host_checks.running(cluster))
    findings += [
        host_checks.page(settings.web_folder or Path(BUILT_PAGE)),
        host_checks.kernels(settings.home),
        *_in_database(settings),
    ]
    if is_deep and cluster is None:
        raise SetupError("--deep reads a private cluster; this one is run by somebody else.")
    if is_deep and cluster is not None:
        findings.append(host_checks.damage(cluster))
    return findings


def _in_database(settings: Settings) -> list[Finding]:
    checks = SERVER_CHECKS | DATA_CHECKS
    if settings.auth == "off" or settings.oidc_issuer is not None:
        del checks["keys"]
    access = Access.of(settings)
    if access.ogc_url is None:
        checks["ogc"] = ogc_off
    try:
        with psycopg.connect(
            access.conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S,
            options="-c statement_timeout=60s -c default_transaction_read_only=on",
        ) as connection:  # fmt: skip
            return [
                Finding("database", "ok", "lets us in"),
                *(look(name, check, connection) for name, check in checks.items()),
            ]
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        return [Finding("database", "failed", reason, "start it, or correct its address")]


def _show(findings: list[Finding]) -> None:
    table = Table("", "what", "seen", "what to do")
    for finding in findings:
        colour = COLOURS[finding.state]
        table.add_row(f"[{colour}]{finding.state}[/]", finding.name, finding.seen, finding.cure)
    console.print(table)
