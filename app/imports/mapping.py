"""Which columns of a file fill which fields: as the caller says, else guessed from the headers."""

from collections.abc import Iterable, Mapping, Sequence

from app.imports.batches import MOST_COLUMNS
from app.imports.fields import Kind, plain_header
from app.imports.geojson_reader import FEATURE_ID, GEOMETRY_LAT, GEOMETRY_LON
from app.imports.sniffing import refused_file

NOT_PROPERTIES = frozenset({GEOMETRY_LON, GEOMETRY_LAT, FEATURE_ID})
LONGEST_LIST = 60


class ColumnMap:
    """Fields and their columns; several columns of a field are joined by "-".

    The features of a GeoJSON file may bring new properties at any place, so the map learns columns
    as they come. What is assigned stays assigned.
    """

    def __init__(self, kind: Kind, explicit: Mapping[str, Sequence[str]]) -> None:
        self._kind = kind
        self._explicit = {field: tuple(columns) for field, columns in explicit.items()}
        self._known: dict[str, None] = {}
        self.sources: dict[str, tuple[str, ...]] = {}

    @property
    def extras(self) -> list[str]:
        """Columns that fill no field."""
        used = {column for columns in self.sources.values() for column in columns}
        return [name for name in self._known if name not in used | NOT_PROPERTIES]

    @property
    def document(self) -> dict[str, str | list[str]]:
        """The map as it is shown: a column, or a list of joined ones, per field."""
        return {
            field: columns[0] if len(columns) == 1 else list(columns)
            for field, columns in self.sources.items()
        }

    def learn(self, columns: Iterable[str]) -> None:
        """Take up the columns of a batch.

        Raises
        ------
        InvalidInput
            When the mapping names a column that is missing, or a field that is needed has none.
        """
        new = [name for name in columns if name not in self._known]
        is_first = not self._known
        self._known |= dict.fromkeys(new)
        if len(self._known) > MOST_COLUMNS + len(NOT_PROPERTIES):
            detail = f"The file has more than {MOST_COLUMNS} columns or properties."
            raise refused_file("too-many-columns", detail)
        if is_first:
            self._apply_explicit()
        self._guess(new)
        if is_first:
            self._check()

    def _apply_explicit(self) -> None:
        for field, columns in self._explicit.items():
            for name in columns:
                if name not in self._known:
                    raise refused_file(
                        "unknown-column",
                        f"The mapping takes {field} from the column {name!r}, which the file does "
                        f"not have. {self._listing()}",
                    )
            if columns:
                self.sources[field] = columns

    def _guess(self, new: Iterable[str]) -> None:
        taken = {column for columns in self.sources.values() for column in columns}
        # Of two headers that read alike the first is meant.
        free = {plain_header(name): name for name in reversed([n for n in new if n not in taken])}
        for field in self._kind.fields:
            if field.name in self.sources or field.name in self._explicit:
                continue
            word = next((word for word in field.synonyms if word in free), None)
            if word is not None:
                self.sources[field.name] = (free.pop(word),)

    def _check(self) -> None:
        lon, lat = self._kind.lon, self._kind.lat
        missing = [name for name in self._kind.required if name not in self.sources]
        if (lon in self.sources) != (lat in self.sources):
            missing += [name for name in (lon, lat) if name not in {*self.sources, *missing}]
        if missing:
            raise refused_file(
                "missing-column",
                f"No column for {', '.join(missing)} was found; name it in the mapping. "
                f"{self._listing()}",
            )

    def _listing(self) -> str:
        names = list(self._known)
        more = f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
        return f"The columns are: {', '.join(names[:LONGEST_LIST])}{more}."
