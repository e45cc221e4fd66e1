"""What a report is made of: words, tables and pictures, each said once for all its forms."""

from dataclasses import dataclass, field

from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True, slots=True)
class Area:
    """One territory of a map; outline and label point (lon, lat) in degrees.

    `colour` is the number that keeps neighbours apart, as tiles and plans have it.
    """

    code: str
    colour: int
    outline: BaseGeometry
    label_point: tuple[float, float]


@dataclass(frozen=True, slots=True)
class MapPicture:
    """A map of territories; `alt` says in words what it shows.

    With `focus`, codes of some of them, it shows no more than the ground around those.
    """

    title: str
    alt: str
    areas: tuple[Area, ...]
    focus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BarPicture:
    """A chart of fractions, one for each label, against a limit in both directions.

    Whoever makes it sorts the bars.
    """

    title: str
    alt: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    limit: float | None


Picture = MapPicture | BarPicture


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names its rows.

    Attributes
    ----------
    is_text
        For each column whether it is words, which stand to the left, or numbers.
    weights
        How much each row tells: where not all have room, those with the largest stay.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_text: tuple[bool, ...]
    weights: tuple[float, ...] = ()

    def shortened(self, n_rows: int) -> "Table":
        """Return the rows that tell most, in their order, under a caption that says so."""
        if len(self.rows) <= n_rows:
            return self
        weights = self.weights or tuple(-float(place) for place in range(len(self.rows)))
        ranked = sorted(range(len(self.rows)), key=lambda place: (-weights[place], place))
        kept = sorted(ranked[:n_rows])
        caption = f"{self.caption} (the {n_rows} that tell most of {len(self.rows)})"
        rows = tuple(self.rows[place] for place in kept)
        return Table(caption, self.head, rows, self.is_text)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with paragraphs, lists under their own words, pictures side by side, and tables.

    `shows_first` puts the pictures above the words.
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    shows_first: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report; `facts` are names with values, shown first."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    language: str = field(default="en")
