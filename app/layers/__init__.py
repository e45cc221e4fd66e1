"""Layers: families of responsibilities over the same ground."""
