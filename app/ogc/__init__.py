"""OGC API Features and Tiles at `/ogc`, for GIS programs: see docs/gis.md."""
