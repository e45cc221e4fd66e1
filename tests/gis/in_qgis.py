"""Opens the service in QGIS, without a screen; run by the Python that QGIS was built for.

Usage: in_qgis.py ADDRESS KEY FOLDER. Writes pictures to the folder and prints what it saw as JSON.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsMapBoxGlStyleConverter,
    QgsMapLayer,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsNetworkAccessManager,
    QgsNetworkContentFetcher,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorTileBasicRenderer,
    QgsVectorTileLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QEventLoop, QSize, QUrl
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtNetwork import QNetworkRequest

COLLECTIONS = ("customers", "territories", "geofences")
WIDTH, HEIGHT = 900, 700
# Fewer pixels than this are the soft edge of something.
LEAST_PIXELS = 3
COUNTRY = QgsRectangle(116, 28, 124, 34)
CITY = QgsRectangle(121.1, 30.9, 121.95, 31.5)
STREETS = QgsRectangle(121.45, 31.2, 121.5, 31.24)


class Program:
    """QGIS without its windows; `key` goes with every request, as its API Header would send it."""

    def __init__(self, address: str, key: str, folder: Path) -> None:
        self._application = QgsApplication([], False)
        self._application.initQgis()
        self.address, self.folder = address, folder
        self._credential = f"Bearer {key}".encode()

    def let_in(self) -> None:
        """Send the key from now on; QGIS has no API Header before 3.24."""
        QgsNetworkAccessManager.setRequestPreprocessor(self._sign)

    def _sign(self, request: QNetworkRequest) -> None:
        request.setRawHeader(b"Authorization", self._credential)

    def collection(self, name: str) -> QgsVectorLayer:
        """Return a collection of `/ogc`, as the provider of OGC API Features reads it."""
        place = f"url='{self.address}/ogc' typename='{name}' version='OGC_API_FEATURES'"
        return QgsVectorLayer(place, name, "OAPIF")

    def tiles(self, template: str, finest: int) -> QgsVectorTileLayer:
        """Return a layer of vector tiles; the style is taken from our style document as it is."""
        style = f"{self.address}/v1/tiles/style.json"
        source = (
            f"type=xyz&url={quote(self.address + template, safe=':/{}')}&zmin=0&zmax={finest}"
            f"&styleUrl={quote(style, safe='')}"
        )
        return QgsVectorTileLayer(source, template)

    def fetch(self, path: str) -> Any:
        """Return a document, read by QGIS itself."""
        fetcher, loop = QgsNetworkContentFetcher(), QEventLoop()
        fetcher.finished.connect(loop.quit)
        fetcher.fetchContent(QUrl(self.address + path))
        loop.exec_()
        return json.loads(fetcher.contentAsString())

    def draw(self, layer: QgsMapLayer, where: QgsRectangle, name: str) -> dict[str, int]:
        """Return the colours of a picture with their pixels; the picture is kept as `name`."""
        degrees, metres = map(QgsCoordinateReferenceSystem, ("EPSG:4326", "EPSG:3857"))
        to_metres = QgsCoordinateTransform(degrees, metres, QgsProject.instance())
        settings = QgsMapSettings()
        settings.setLayers([layer])
        settings.setOutputSize(QSize(WIDTH, HEIGHT))
        settings.setDestinationCrs(metres)
        settings.setBackgroundColor(QColor("white"))
        settings.setExtent(to_metres.transformBoundingBox(where))
        job = QgsMapRendererParallelJob(settings)
        job.start()
        job.waitForFinished()
        picture = job.renderedImage()
        picture.save(str(self.folder / f"{name}.png"))
        pixels = Counter(picture.pixel(x, y) for x in range(WIDTH) for y in range(HEIGHT))
        return {QColor(pixel).name(): n for pixel, n in pixels.items() if n >= LEAST_PIXELS}


def features(program: Program, name: str) -> dict[str, Any]:
    """Return what QGIS makes of a collection: before any feature is read, and read to the end."""
    layer = program.collection(name)
    first = layer.extent()
    return {
        "is_valid": layer.isValid(),
        "count": layer.featureCount(),
        "geometry": QgsWkbTypes.displayString(layer.wkbType()),
        "fields": {field.name(): field.typeName() for field in layer.fields()},
        "extent": [first.xMinimum(), first.yMinimum(), first.xMaximum(), first.yMaximum()],
        "read": sum(1 for _ in layer.getFeatures()),
        "colours": program.draw(layer, COUNTRY, f"features-{name}"),
    }


def styled(program: Program, name: str, finest: int, where: QgsRectangle, view: str) -> Any:
    """Return what QGIS draws of a tileset in our own style."""
    layer = program.tiles(f"/v1/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt", finest)
    error, is_styled = layer.loadDefaultStyle()
    return {
        "is_valid": layer.isValid(),
        "error": error,
        "is_styled": is_styled,
        "colours": program.draw(layer, where, f"tiles-{name}-{view}"),
    }


def plain(program: Program, name: str) -> dict[str, Any]:
    """Return what QGIS draws of the tiles of `/ogc`, in colours of its own."""
    path = f"/ogc/collections/{name}/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}"
    layer = program.tiles(path, 20)
    renderer = QgsVectorTileBasicRenderer()
    renderer.setStyles(QgsVectorTileBasicRenderer.simpleStyleWithRandomColors())
    layer.setRenderer(renderer)
    return {
        "is_valid": layer.isValid(),
        "colours": program.draw(layer, CITY, f"ogc-tiles-{name}"),
    }


def conversion(program: Program) -> dict[str, Any]:
    """Return what the converter of styles says of our style document."""
    document = program.fetch("/v1/tiles/style.json")
    converter = QgsMapBoxGlStyleConverter()
    result = converter.convert(document)
    return {
        "is_converted": result == QgsMapBoxGlStyleConverter.Success,
        "error": converter.errorMessage(),
        "warnings": converter.warnings(),
        "layers": [style.styleName() for style in converter.renderer().styles()],
        "asked": [layer["id"] for layer in document["layers"]],
    }


def main(address: str, key: str, folder: str) -> None:
    """Open everything and print what was seen."""
    program = Program(address, key, Path(folder))
    seen: dict[str, Any] = {
        "version": Qgis.QGIS_VERSION,
        "without_key": program.collection("territories").isValid(),
    }
    program.let_in()
    seen["features"] = {name: features(program, name) for name in COLLECTIONS}
    seen["style"] = conversion(program)
    seen["tiles"] = {
        "territories": styled(program, "territories", 14, COUNTRY, "country"),
        "cells": styled(program, "cells", 14, COUNTRY, "country"),
        "heat": styled(program, "heat", 14, COUNTRY, "country"),
        "geofences": styled(program, "geofences", 16, CITY, "city"),
        "sums": styled(program, "customers", 18, COUNTRY, "country"),
        "customers": styled(program, "customers", 18, STREETS, "streets"),
    }
    seen["ogc_tiles"] = {name: plain(program, name) for name in COLLECTIONS}
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
