"""Reports as one HTML file, a PDF and a picture, from plain data: nothing here knows the database.

`content` is what a report is made of, `render_html` and `draw_map` are what others may use alone,
`write_report` writes all three forms into a folder. It is slow work for a child process.
"""

from pathlib import Path

from app.reports.content import Area, BarPicture, MapPicture, Report, Section, Table
from app.reports.details import details_of
from app.reports.html import render_html
from app.reports.maps import draw_map
from app.reports.paper import render_pdf, render_png

__all__ = [
    "Area",
    "BarPicture",
    "MapPicture",
    "Report",
    "Section",
    "Table",
    "details_of",
    "draw_map",
    "render_html",
    "render_pdf",
    "render_png",
    "write_report",
]


def write_report(folder: Path, report: Report) -> None:
    """Write `report.html`, `report.pdf` and `report.png` into a folder."""
    (folder / "report.html").write_text(render_html(report), encoding="utf-8")
    (folder / "report.pdf").write_bytes(render_pdf(report))
    (folder / "report.png").write_bytes(render_png(report))
