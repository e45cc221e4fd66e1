"""What `/ogc` shows: the views of the schema `ogc`, each as a collection of tipg.

tipg would find them in the database, by functions that it makes anew in each session. Said here,
nothing is made in the database, nothing has to be read again when it comes back, and no function of
it can become a collection. A test compares this page with the views (`tests/ogc/test_role.py`).
"""

from typing import Any

import tipg.collections as tipg

from app.ogc.questions import Question, Statement

SCHEMA = "ogc"
# Counting more takes longer than any client waits; the number is then left out, as it may be.
MOST_COUNTED = 100_000
# A box without area is a line or a point by this, where ST_MakeEnvelope makes an empty polygon.
BOX = "ST_SetSRID(ST_Envelope(ST_MakeLine(ST_MakePoint({}, {}), ST_MakePoint({}, {}))), 4326)"
NUMBERS = ("bigint", "integer")
# West, south, east and north end of the world, as corners of a line.
ENDS = ((-180, -90, -180, 90), (-180, -90, 180, -90), (180, -90, 180, 90), (-180, 90, 180, 90))


class View(tipg.PgCollection):
    """A collection; `filterable` columns may be asked for by their value.

    `tells_of_customers` keeps it from callers who may not see single customers.
    """

    title: str = ""
    filterable: tuple[str, ...] = ()
    tells_of_customers: bool = False

    def page_statement(self, question: Question) -> Statement:
        """Return the statement of a page, in the order of ids; one row more tells of a next page.

        Its columns are those of tipg: the properties, `tipg_id`, and `tipg_geom` as GeoJSON.
        """
        where = self._where(question, after=question.after)
        limit = where.bind(question.limit + 1)
        text = f"{self._selection} {self._source} {where.text} {self._sortby(None)} LIMIT {limit}"
        return Statement(text, where.values)

    def count_statement(self, question: Question) -> Statement:
        """Return the statement that counts what is asked for, to one more than `MOST_COUNTED`."""
        where = self._where(question)
        most = where.bind(MOST_COUNTED + 1)
        found = f"SELECT {self._source} {where.text} LIMIT {most}"
        return Statement(f"SELECT count(*) FROM ({found}) AS found", where.values)  # noqa: S608

    def item_statement(self, item_id: int) -> Statement:
        """Return the statement of one feature."""
        return Statement(f"{self._selection} {self._source} WHERE id = $1", [item_id])

    def extent_statement(self) -> Statement:
        """Return the statement of west, south, east and north; its row is missing without features.

        The feature nearest to an end of the world is the one that reaches farthest that way, which
        the index finds at once, however many there are; `ST_Extent` would read them all.
        """
        names = ("west", "south", "east", "north")
        reaching = [
            f"(SELECT geom {self._source} WHERE geom IS NOT NULL"
            f" ORDER BY geom <-> {BOX.format(*end)} LIMIT 1) AS {name}"
            for name, end in zip(names, ENDS, strict=True)
        ]
        sides = "ST_XMin(west.geom), ST_YMin(south.geom), ST_XMax(east.geom), ST_YMax(north.geom)"
        return Statement(f"SELECT {sides} FROM {', '.join(reaching)}", [])  # noqa: S608

    @property
    def _selection(self) -> str:
        names = [column.name for column in self.properties if column != self.id_column]
        selection: str = self._select(names, self.geometry_column, bbox_only=None, simplify=None)
        return selection

    @property
    def _source(self) -> str:
        source: str = self._from(None, [])
        return source

    def _where(self, question: Question, after: int | None = None) -> Statement:
        where = Statement("WHERE true", [])
        if question.box is not None:
            boxes = [
                f"ST_Intersects(geom, {BOX.format(*where.bind(*part.as_tuple()).split(', '))})"
                for part in question.box.parts()
            ]
            where.text += f" AND ({' OR '.join(boxes)})"
        if question.interval is not None and self.datetime_column is not None:
            column = self._quoted(self.datetime_column.name)
            # What has no time is found at any time (OGC 17-069r4, /req/core/fc-time-response).
            times = [
                f"{column} {sign} {where.bind(time)}"
                for sign, time in zip((">=", "<="), question.interval, strict=True)
                if time is not None
            ]
            where.text += f" AND ({column} IS NULL OR {' AND '.join(times)})"
        for name, value in question.values.items():
            where.text += f" AND {self._quoted(name)} = {where.bind(value)}"
        if after is not None:
            where.text += f" AND id > {where.bind(after)}"
        return where

    @staticmethod
    def _quoted(name: str) -> str:
        quoted: str = tipg._quote_ident(name)
        return quoted


def _view(
    name: str,
    geometry: str,
    columns: dict[str, str],
    time: str | None = None,
    **more: Any,
) -> View:
    known = {column: tipg.Column(name=column, type=kind) for column, kind in columns.items()}
    geom = tipg.Column(name="geom", type="geometry", geometry_type=geometry, srid=4326)
    key = tipg.Column(name="id", type="bigint")
    return View(
        type="Table",
        id=name,
        table=name,
        schema=SCHEMA,
        table_columns=[key, *known.values(), geom],
        # Tiles have no ids of their own as tipg makes them, so the id is a property there.
        properties=[key, *known.values()],
        id_column=key,
        geometry_column=geom,
        datetime_column=None if time is None else known[time],
        **more,
    )


VIEWS = {
    view.id: view
    for view in (
        _view(
            "customers",
            "Point",
            {
                "external_id": "text", "name": "text", "class": "text", "segment": "text",
                "status": "text", "work_minutes": "double precision",
                "potential": "double precision", "last_visit_at": "timestamptz",
            },
            time="last_visit_at",
            title="Customers",
            description="Customers with their yearly work; the time is that of the last visit",
            filterable=("external_id", "name", "class", "segment", "status"),
            tells_of_customers=True,
        ),
        _view(
            "territories",
            "MultiPolygon",
            {
                "code": "text", "name": "text", "layer_id": "bigint", "plan_id": "bigint",
                "rep_name": "text", "customers": "double precision",
                "work_minutes": "double precision", "potential": "double precision",
                "revenue": "double precision", "work_imbalance": "double precision",
            },
            title="Territories",
            description="Territories in force, of every layer, with what they hold as designed",
            filterable=("code", "name", "layer_id", "plan_id", "rep_name"),
        ),
        _view(
            "geofences",
            "MultiPolygon",
            {"name": "text", "created_at": "timestamptz", "updated_at": "timestamptz"},
            title="Geofences",
            description="Named areas",
            filterable=("name",),
        ),
    )
}  # fmt: skip
