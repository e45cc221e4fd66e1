"""A report as one HTML file."""

import base64
from html import escape

from app.reports.content import Picture, Report, Section, Table
from app.reports.page_style import STYLE
from app.reports.pictures import as_svg


def render_html(report: Report) -> str:
    """Return a report as one file that needs nothing else: no scripts, no other addresses."""
    body = "\n".join(_section_html(section) for section in report.sections)
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in report.facts
    )
    return (
        f'<!doctype html>\n<html lang="{escape(report.language)}">\n<head>\n'
        '<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(report.title)}</h1><p>{escape(report.subtitle)}</p></header>\n"
        f'<main>\n<dl class="facts">{facts}</dl>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _section_html(section: Section) -> str:
    words = [f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs]
    for heading, items in section.lists:
        listed = "".join(f"<li>{escape(item)}</li>" for item in items)
        words.append(f"<h3>{escape(heading)}</h3>\n<ul>{listed}</ul>")
    n_pictures = len(section.pictures)
    drawn = "".join(_picture_html(picture, n_pictures) for picture in section.pictures)
    shown = [f'<div class="pictures">{drawn}</div>'] if drawn else []
    parts = [*shown, *words] if section.shows_first else [*words, *shown]
    tables = [_table_html(table) for table in section.tables]
    heading = f"<section>\n<h2>{escape(section.heading)}</h2>"
    return "\n".join([heading, *parts, *tables, "</section>"])


def _picture_html(picture: Picture, n_beside: int) -> str:
    data, notes = as_svg(picture, n_beside)
    source = f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"
    caption = escape(" ".join([picture.title + ".", *notes]))
    return (
        f'<figure><img alt="{escape(picture.alt)}" src="{source}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table_html(table: Table) -> str:
    kinds = ["text" if is_text else "number" for is_text in table.is_text]
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(name)}</th>'
        for name, kind in zip(table.head, kinds, strict=True)
    )
    rows = []
    for first, *others in table.rows:
        cells = "".join(
            f'<td class="{kind}">{escape(cell)}</td>'
            for cell, kind in zip(others, kinds[1:], strict=True)
        )
        rows.append(f'<tr><th scope="row" class="{kinds[0]}">{escape(first)}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table><caption>{escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{chr(10).join(rows)}</tbody></table></div>"
    )
