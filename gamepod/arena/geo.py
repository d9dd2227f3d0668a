"""The map between the arena's flat plane (metres) and GPS coordinates (degrees).

Equirectangular projection around the south-west corner: over the few kilometres of an arena its error stays
under a millimetre per metre, and it is cheap enough to run for every accepted command.
"""

from __future__ import annotations

import math

METRES_PER_DEGREE = 111_320.0  # one degree of latitude on the mean sphere


class Projection:
    """Places (x east, y north) in metres from an origin given in degrees."""

    __slots__ = ("_lat", "_lat_per_m", "_lon", "_lon_per_m")

    def __init__(self, origin_lat: float, origin_lon: float) -> None:
        self._lat = origin_lat
        self._lon = origin_lon
        self._lat_per_m = 1.0 / METRES_PER_DEGREE
        self._lon_per_m = 1.0 / (METRES_PER_DEGREE * math.cos(math.radians(origin_lat)))

    def to_gps(self, x: float, y: float) -> tuple[float, float]:
        """Latitude and longitude in degrees of a place in metres."""
        return self._lat + y * self._lat_per_m, self._lon + x * self._lon_per_m

    def to_plane(self, lat: float, lon: float) -> tuple[float, float]:
        """The place in metres of a latitude and longitude in degrees."""
        return (lon - self._lon) / self._lon_per_m, (lat - self._lat) / self._lat_per_m
