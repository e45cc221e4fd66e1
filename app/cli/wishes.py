"""Options of `bailiwick design` that hold more than one value, as members of a plan request."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import typer

from app.plans.request import MEASURES

Document = dict[str, Any]


def by_measure(text: str) -> tuple[str, float | None]:
    """Read `measure=number`, or a number alone for work; `none` switches a measure off."""
    name, has_name, value = text.rpartition("=")
    number = None if value.lower() in ("none", "null") else _number(value)
    return _measure(name) if has_name else MEASURES[0], number


def limit(text: str) -> tuple[str, Document]:
    """Read `measure=min..max`, either end of which may be missing."""
    name, has_name, ends = text.partition("=")
    low, has_dots, high = ends.partition("..")
    if not has_name or not has_dots or not (low or high):
        raise typer.BadParameter(f"{text!r} is not like work_minutes=40000..60000")
    given = {"min": low, "max": high}
    return _measure(name), {end: _number(value) for end, value in given.items() if value}


def numbers(text: str) -> list[float]:
    """Read numbers with commas between."""
    return [_number(word) for word in text.split(",")]


def words(text: str) -> list[str]:
    """Read words with commas between, or a file with one on each line or a JSON list."""
    path = Path(text)
    if not path.is_file():
        return [word.strip() for word in text.split(",") if word.strip()]
    content = path.read_text().strip()
    if content.startswith("["):
        return [str(word) for word in _parsed(path)]
    return content.replace(",", "\n").split()


def centre(text: str) -> Document:
    """Read `T01=lon,lat` or `T01=lon,lat,pull`."""
    code, _, place = text.partition("=")
    values = numbers(place)
    if len(values) not in (2, 3):
        raise typer.BadParameter(f"{text!r} is not like T01=121.47,31.23 or T01=121.47,31.23,0.5")
    return {"territory": code, **dict(zip(("lon", "lat", "pull"), values, strict=False))}


def lock(text: str) -> Document:
    """Read `T01=cell,cell`."""
    code, has_code, cells = text.partition("=")
    if not has_code:
        raise typer.BadParameter(f"{text!r} is not like T01=862830807ffffff,862830817ffffff")
    return {"territory": code, "cells": words(cells)}


def locked_territories(text: str) -> Document:
    """Read `plan:T01,T02`."""
    plan, has_codes, codes = text.partition(":")
    if not has_codes or not plan.isdigit():
        raise typer.BadParameter(f"{text!r} is not like 7:T01,T02")
    return {"plan_id": int(plan), "codes": words(codes)}


def groups(text: str) -> list[Document]:
    """Read cells with commas between, or a GeoJSON file of polygons."""
    if Path(text).is_file():
        return [{"area": geometry} for geometry, _ in _geometries(Path(text))]
    return [{"cells": words(text)}]


def barriers(text: str) -> list[Document]:
    """Read a GeoJSON file of lines and polygons."""
    named = _geometries(_file(text))
    return [{"geometry": geometry, "name": name} for geometry, name in named]


def discouraged(text: str) -> list[Document]:
    """Read a GeoJSON file, or `file:strength`."""
    name, has_strength, strength = text.rpartition(":")
    if not has_strength or Path(text).is_file():
        return barriers(text)
    return [{**border, "strength": _number(strength)} for border in barriers(name)]


def bridge(text: str) -> Document:
    """Read `name=lon,lat:lon,lat`."""
    name, _, ends = text.rpartition("=")
    one, _, other = ends.partition(":")
    if not name or not other:
        raise typer.BadParameter(f"{text!r} is not like ferry=121.5,31.4:121.6,31.6")
    return {"name": name, "from": numbers(one), "to": numbers(other)}


def document(text: str) -> Document:
    """Read a JSON file that holds a plan request."""
    found = _parsed(_file(text))
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{text} holds no JSON object")
    return found


def geometry(text: str) -> Document:
    """Read a GeoJSON file with one geometry: a geometry, a feature, or a collection of one."""
    found = [shape for shape, _ in _geometries(_file(text))]
    if len(found) != 1:
        raise typer.BadParameter(f"{text} holds {len(found)} geometries, one is needed")
    return found[0]


def flattened(read: Callable[[str], list[Document]], texts: list[str]) -> list[Document]:
    """Return what several options of a kind hold, one after the other."""
    return [wish for text in texts for wish in read(text)]


def _geometries(path: Path) -> Iterator[tuple[Document, str]]:
    """Yield the geometries of a GeoJSON file with their names."""
    found = _parsed(path)
    try:
        features = found["features"] if found["type"] == "FeatureCollection" else [found]
        for feature in features:
            is_feature = feature["type"] == "Feature"
            properties = (feature.get("properties") or {}) if is_feature else {}
            shape = dict(feature["geometry"]) if is_feature else dict(feature)
            yield shape, str(properties.get("name", ""))[:100]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise typer.BadParameter(f"{path.name} is no GeoJSON: {error}") from None


def _parsed(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"{path.name} is no JSON: {error}") from None


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {text!r}")
    return path


def _measure(name: str) -> str:
    if name not in MEASURES:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(MEASURES)}")
    return name


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number") from None
