"""What the IIIF Image API 2.1 (https://iiif.io/api/image/2.1/) says differently from 3.0.

Enlarging needs no ``^`` there, ``full`` is a size, a size in canonical form names the width alone where the shape is
kept, and info.json has other fields.  All else is that of `request` and `documents`.
"""

from __future__ import annotations

from typing import Any

from wavelic.codec.opened import level_dimensions
from wavelic.serving.documents import PROFILE_2, scale_factors
from wavelic.serving.facts import TILE, Facts
from wavelic.serving.refusal import Refusal
from wavelic.serving.request import QUALITIES, ImageRequest, Resolved, Size, SizeLimits, parse_request

CONTEXT_2 = "http://iiif.io/api/image/2/context.json"


def parse_request_2(region: str, size: str, rotation: str, last: str) -> ImageRequest:
    """Check the syntax of the four path segments of version 2.1.

    Args:
        region: "full", "square", "x,y,w,h" or "pct:x,y,w,h".
        size: "full", "max", "w,", ",h", "w,h", "!w,h" or "pct:n".
        rotation: degrees, with "!" in front for mirroring.
        last: "quality.format".

    Returns:
        The request, its size as version 3.0 says it.

    Raises:
        Refusal: 400 for wrong syntax, 501 for what the specification allows and this server lacks.
    """
    if size.startswith("^"):
        raise Refusal(400, "the size has a ^, which is of version 3; leave it out, or ask at /iiif/3/")
    enlarging = {"full": "^pct:100", "max": "max"}.get(size, "^" + size)
    return parse_request(region, enlarging, rotation, last)


def in_canonical_form_2(wanted: Resolved, image: Size) -> str:
    """Return the four path segments of version 2.1 in canonical form (section 4.7).

    Args:
        wanted: the request, resolved for the image.
        image: (width, height) of the image.
    """
    x, y, width, height = wanted.region
    region = "full" if wanted.region == (0, 0, *image) else f"{x},{y},{width},{height}"
    if wanted.size == (width, height):
        size = "full"
    elif wanted.size[1] == max(1, (2 * height * wanted.size[0] + width) // (2 * width)):
        size = f"{wanted.size[0]},"
    else:
        size = f"{wanted.size[0]},{wanted.size[1]}"
    return "/".join([region, size, *wanted.canonical.split("/")[2:]])


def image_information_2(service: str, facts: Facts, limits: SizeLimits) -> dict[str, Any]:
    """Make the info.json of an image service.

    Args:
        service: its URL.
        facts: of the image.
        limits: on the size of an answer.
    """
    factors = scale_factors(facts)
    sizes = level_dimensions(facts.width, facts.height, len(factors) - 1)
    able: dict[str, Any] = {
        "formats": ["jpg", "png", "webp"],
        "qualities": list(QUALITIES),
        "supports": [
            *("canonicalLinkHeader", "cors", "jsonldMediaType", "mirroring", "profileLinkHeader"),
            *("regionSquare", "sizeAboveFull", "sizeByConfinedWh", "sizeByDistortedWh"),
        ],
        "maxArea": limits.max_area,
    }
    if limits.max_width is not None:
        able["maxWidth"] = limits.max_width
    if limits.max_height is not None:
        able |= {"maxHeight": limits.max_height, "maxWidth": limits.max_width or limits.max_area}
    return {
        "@context": CONTEXT_2,
        "@id": service,
        "protocol": "http://iiif.io/api/image",
        "width": facts.width,
        "height": facts.height,
        "sizes": [{"width": w, "height": h} for w, h in reversed(sizes) if limits.admits((w, h))],
        "tiles": [{"width": TILE, "height": TILE, "scaleFactors": factors}],
        "profile": [PROFILE_2, able],
    }
