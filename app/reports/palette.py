"""The colours of the map page (web/src/lib/palette.ts): Paul Tol's schemes, safe for colour blind.

https://personal.sron.nl/~pault/, "light" for fills under dark labels, "bright" for bars.
"""

TERRITORY_COLOURS = (
    "#77aadd", "#eedd88", "#44bb99", "#ee8866", "#ffaabb", "#bbcc33", "#99ddff", "#aaaa00",
)  # fmt: skip
INK = "#1c2733"
QUIET = "#5b6874"
RULE = "#c9d1d8"
BAND = "#eef2f5"
LINE = "#4c5a66"
WATER = "#dbe4ea"
LAND = "#f7f6f2"
COAST = "#b3b8bb"
INSIDE = "#4477aa"
OUTSIDE = "#ee6677"


def territory_colour(number: int) -> str:
    """Return the fill of a territory."""
    return TERRITORY_COLOURS[number % len(TERRITORY_COLOURS)]
