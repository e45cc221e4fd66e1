"""The real populated places of the United States, in the shape of a customer file."""

import polars as pl

SHARE_OF_A = 0.20
SHARE_OF_A_AND_B = 0.50


def make_us_places(cities: pl.DataFrame) -> pl.DataFrame:
    """Return one customer a place, classed by its rank in population (ties by geonameid)."""
    ranked = cities.sort(["population", "geonameid"], descending=[True, False])
    position = (pl.int_range(pl.len()) + 1) / pl.len()
    service_class = (
        pl.when(position <= SHARE_OF_A)
        .then(pl.lit("A"))
        .when(position <= SHARE_OF_A_AND_B)
        .then(pl.lit("B"))
        .otherwise(pl.lit("C"))
    )
    return (
        ranked.with_columns(service_class.alias("class"))
        .sort("geonameid")
        .select(
            pl.col("geonameid").alias("external_id"),
            "name",
            "lon",
            "lat",
            "class",
            pl.col("admin1").alias("segment"),
            pl.col("population").alias("potential"),
            pl.lit("active").alias("status"),
        )
    )
