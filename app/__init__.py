"""Bailiwick: geospatial territory design on PostGIS and H3."""

from importlib.metadata import version

__version__ = version("bailiwick")
