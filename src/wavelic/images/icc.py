"""ICC profiles: which samples one fits, and profiles written for colours a file states by numbers.

PNG's gAMA and cHRM, BMP's end points and the code points of ITU-T H.273 (CICP: PNG's cICP, AVIF's nclx) become a
matrix/TRC profile of version 4.4 (ICC.1:2022).  The code points stay in its `cicp` tag, so that HDR (PQ, HLG) can be
read back exactly; readers that do not know the tag see a curve with the reference white of 203 cd/m2 (ITU-R BT.2408)
as white, and what is brighter clipped.  The same colours always give the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]

_HEADER_BYTES = 128
_SPACES = {b"GRAY": (1, 2), b"RGB ": (3, 4)}
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_TABLE = 1024  # entries of a curve that has no formula
_PQ_WHITE = 203 / 10000
_D65: Point = (0.3127, 0.3290)
_DCI: Point = (0.314, 0.351)
_C: Point = (0.310, 0.316)


@dataclass(frozen=True)
class Primaries:
    """Chromaticities (x, y) of white and of the three primaries."""

    white: Point
    red: Point
    green: Point
    blue: Point

    def is_near(self, other: Primaries, tolerance: float = 0.0011) -> bool:
        """Whether all eight numbers differ by no more than the rounding in files."""
        mine, theirs = (np.array([p.white, p.red, p.green, p.blue]) for p in (self, other))
        return bool(np.abs(mine - theirs).max() <= tolerance)


BT709 = Primaries(_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_BT601 = Primaries(_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
#: Colour primaries of H.273, table 2.
_CICP_PRIMARIES = {
    1: BT709,
    4: Primaries(_C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: Primaries(_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: _BT601,
    7: _BT601,
    8: Primaries(_C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: Primaries(_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Primaries(_DCI, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: Primaries(_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: Primaries(_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
#: Transfer characteristics of H.273, table 3, that are a power, or a power with a straight beginning.
_CICP_CURVES: dict[int, tuple[float, ...]] = {
    1: _BT709_CURVE,
    4: (2.2,),
    5: (2.8,),
    6: _BT709_CURVE,
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4.0, 0.0913),
    8: (1.0,),
    13: _SRGB_CURVE,
    14: _BT709_CURVE,
    15: _BT709_CURVE,
    17: (2.6,),
}
UNSPECIFIED, PQ, HLG, SRGB_TRANSFER = 2, 16, 18, 13


def colour_space(icc: bytes) -> bytes | None:
    """Return the signature of the colour space of a profile's samples, as in ``b"RGB "``; None if it is no profile."""
    if len(icc) < _HEADER_BYTES + 4 or icc[36:40] != b"acsp":
        return None
    return icc[16:20]


def misfit(icc: bytes, channels: int) -> str | None:
    """Return why a profile does not fit samples of so many channels, or None if it does or says nothing."""
    space = colour_space(icc)
    if space is None or channels in _SPACES.get(space, ()):
        return None
    kind = "gray" if channels < 3 else "RGB"
    return (
        f"the colour profile is for {space.decode('ascii', 'replace').strip()}, the samples are {kind}; it is left out"
    )


def cicp(icc: bytes) -> tuple[int, int, int, int] | None:
    """Return the code points in a profile's `cicp` tag: primaries, transfer, matrix, 1 for the full range; or None."""
    if colour_space(icc) is None:
        return None
    (count,) = struct.unpack_from(">I", icc, _HEADER_BYTES)
    for position in range(_HEADER_BYTES + 4, min(_HEADER_BYTES + 4 + 12 * count, len(icc) - 11), 12):
        name, start, size = struct.unpack_from(">4sII", icc, position)
        if name == b"cicp" and size == 12 and icc[start : start + 4] == b"cicp" and start + 12 <= len(icc):
            points = tuple(icc[start + 8 : start + 12])
            return points[0], points[1], points[2], points[3]
    return None


def from_cicp(primaries: int, transfer: int, full_range: bool, channels: int) -> bytes | None:
    """Write the profile of RGB or gray samples described by code points of H.273.

    Args:
        primaries: ColourPrimaries.
        transfer: TransferCharacteristics.
        full_range: False if black is 16/255 and white 235/255.
        channels: 1 or 2 for gray, 3 or 4 for RGB.

    Returns:
        The profile; None where none is needed (sRGB, unspecified).

    Raises:
        ValueError: these code points have no profile.
    """
    if full_range and primaries in (1, UNSPECIFIED) and transfer in (SRGB_TRANSFER, UNSPECIFIED):
        return None
    if primaries not in (*_CICP_PRIMARIES, UNSPECIFIED) or transfer not in (*_CICP_CURVES, PQ, HLG, UNSPECIFIED):
        raise ValueError(f"colour primaries {primaries} with transfer {transfer} of H.273 are not supported")
    points = BT709 if primaries == UNSPECIFIED else _CICP_PRIMARIES[primaries]
    parameters = _SRGB_CURVE if transfer == UNSPECIFIED else _CICP_CURVES.get(transfer)
    if parameters is not None and full_range:
        curve = _parametric(parameters)
    else:
        curve = _table(_light(transfer, parameters), full_range)
    name = f"CICP {primaries}/{transfer}/0/{int(full_range)}"
    tag = b"cicp" + bytes([0, 0, 0, 0, primaries, transfer, 0, full_range])
    return _profile(name, points, curve, channels, tag)


def from_gamma(gamma: float | None, points: Primaries | None, channels: int) -> bytes | None:
    """Write the profile of samples with a power curve and given primaries.

    Args:
        gamma: the exponent that turns samples into light, 1.0 for linear samples; None for sRGB's curve.
        points: the primaries; None for sRGB's.
        channels: 1 or 2 for gray, 3 or 4 for RGB.

    Returns:
        The profile; None where the samples are what is taken for granted: sRGB's primaries, with its curve or a gamma
        near 2.2.
    """
    ordinary = gamma is None or abs(1 / gamma - 0.45455) < 0.005
    if ordinary and (channels < 3 or points is None or points.is_near(BT709)):
        return None
    name = "sRGB curve" if gamma is None else f"gamma {gamma:.5f}"
    if points is not None and channels >= 3:
        name += ", white {:.4f} {:.4f}, red {:.4f} {:.4f}, green {:.4f} {:.4f}, blue {:.4f} {:.4f}".format(
            *points.white, *points.red, *points.green, *points.blue
        )
    return _profile(name, points or BT709, _parametric(_SRGB_CURVE if gamma is None else (gamma,)), channels)


def is_sound(points: Primaries) -> bool:
    """Whether the primaries span a triangle and white has a brightness, so that a profile can be computed."""
    corners = np.array([(*p, 1.0) for p in (points.red, points.green, points.blue)])
    brightness = min(p[1] for p in (points.white, points.red, points.green, points.blue))
    if abs(np.linalg.det(corners)) < 1e-4 or brightness < 1e-4:
        return False
    xyz = _colorants(points)
    return bool(np.isfinite(xyz).all() and np.abs(xyz).max() < 100)


def _xyz(point: Point) -> Floats:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(white: Point) -> Floats:
    """The Bradford matrix that takes this white to D50."""
    from_, to = _BRADFORD @ _xyz(white), _BRADFORD @ _D50
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(to / from_) @ _BRADFORD)


def _colorants(points: Primaries) -> Floats:
    """XYZ of the primaries, adapted to D50: the columns of the matrix from linear RGB."""
    columns = np.stack([_xyz(p) for p in (points.red, points.green, points.blue)], axis=1)
    scales = np.linalg.solve(columns, _xyz(points.white))
    return np.asarray(_adaptation(points.white) @ (columns * scales))


def _light(transfer: int, parameters: tuple[float, ...] | None) -> Callable[[Floats], Floats]:
    """The function from samples 0..1 to light, 1 for (reference) white."""
    if transfer == PQ:
        return lambda v: np.minimum(_pq(v) / _PQ_WHITE, 1.0)
    if transfer == HLG:
        white = float(_hlg(np.array([0.75]))[0])
        return lambda v: np.minimum(_hlg(v) / white, 1.0)
    if parameters is None or len(parameters) == 1:
        gamma = (parameters or (2.2,))[0]
        return lambda v: v**gamma
    g, a, b, c, d = parameters
    return lambda v: np.where(v >= d, np.maximum(a * v + b, 0) ** g, c * v)


def _pq(v: Floats) -> Floats:
    """SMPTE ST 2084: light relative to 10000 cd/m2."""
    m1, m2, c1, c2, c3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    power = v ** (1 / m2)
    return np.asarray((np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))


def _hlg(v: Floats) -> Floats:
    """ITU-R BT.2100: light of a display of 1000 cd/m2, by its system gamma of 1.2 taken for each colour alone."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(v <= 0.5, v**2 / 3, (np.exp((np.maximum(v, 0.5) - c) / a) + b) / 12)
    return np.asarray(scene**1.2)


def _parametric(parameters: tuple[float, ...]) -> bytes:
    kind = {1: 0, 5: 3}[len(parameters)]
    return b"para" + struct.pack(">IHH", 0, kind, 0) + b"".join(_fixed(value) for value in parameters)


def _table(light: Callable[[Floats], Floats], full_range: bool) -> bytes:
    samples = np.linspace(0, 1, _TABLE)
    if not full_range:
        samples = np.clip((samples * 255 - 16) / 219, 0, 1)
    values = np.round(light(samples) * 65535).astype(">u2")
    return b"curv" + struct.pack(">II", 0, _TABLE) + values.tobytes()


def _fixed(value: float) -> bytes:
    """The number as s15Fixed16."""
    return struct.pack(">i", round(min(max(value, -32768.0), 32767.0) * 65536))


def _point(xyz: Floats) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_fixed(float(value)) for value in xyz)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(data), 28) + data


def _profile(name: str, points: Primaries, curve: bytes, channels: int, code_points: bytes | None = None) -> bytes:
    gray = channels < 3
    tags = [(b"desc", _text(name)), (b"cprt", _text("CC0")), (b"wtpt", _point(_D50))]
    if gray:
        tags.append((b"kTRC", curve))
    else:
        adaptation = b"".join(_fixed(float(value)) for value in _adaptation(points.white).ravel())
        tags.append((b"chad", b"sf32" + bytes(4) + adaptation))
        tags += zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_point, _colorants(points).T), strict=True)
        tags += [(tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    if code_points is not None:
        tags.append((b"cicp", code_points))
    table, body = b"", b""
    places: dict[bytes, int] = {}
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    for tag, data in tags:
        if data not in places:  # equal tags share their data
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", tag, places[data], len(data))
    size = start + len(body)
    header = struct.pack(
        ">I4sI4s4s4s6H4s4sIIIQI3i",
        size, b"\0\0\0\0", 0x04400000, b"mntr", b"GRAY" if gray else b"RGB ", b"XYZ ", 2022, 1, 1, 0, 0, 0, b"acsp",
        b"\0\0\0\0", 0, 0, 0, 0, 1, *(round(value * 65536) for value in _D50),
    )  # fmt: skip
    return header.ljust(_HEADER_BYTES, b"\0") + struct.pack(">I", len(tags)) + table + body
