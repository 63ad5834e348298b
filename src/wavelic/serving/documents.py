"""JSON of the server: info.json, the Presentation manifest, and the lists behind the viewer."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from wavelic.codec.opened import level_dimensions
from wavelic.serving.facts import TILE, Facts, Variant
from wavelic.serving.request import SizeLimits

IMAGE_CONTEXT = "http://iiif.io/api/image/3/context.json"
PRESENTATION_CONTEXT = "http://iiif.io/api/presentation/3/context.json"
PROFILE = "http://iiif.io/api/image/3/level2.json"
PROFILE_2 = "http://iiif.io/api/image/2/level2.json"
#: Images in one manifest.
MAX_CANVASES = 1000
_THUMBNAIL = SizeLimits(max_area=400 * 400, max_width=400, max_height=400)

Json = dict[str, Any]


def service_path(identifier: str, variant: Variant, version: int = 3) -> str:
    """Path of an image service: ``/iiif/3/a%2Fb.jp2``, or ``/iiif/3;layers=2;decode=stock/a%2Fb.jp2``.

    Args:
        identifier: of the image.
        variant: which picture of it.
        version: of the IIIF Image API, 2 or 3.
    """
    options = f";layers={variant.layers}" if variant.layers is not None else ""
    options += f";decode={variant.decode}" if variant.decode else ""
    return f"/iiif/{version}{options}/{quote(identifier, safe='')}"


def scale_factors(facts: Facts) -> list[int]:
    """1, 2, 4, ... for the levels that are advertised; the last is the first of a single pixel, if there is one."""
    sizes = level_dimensions(facts.width, facts.height, facts.scale_levels)
    return [2**r for r, size in enumerate(sizes) if r == 0 or size != sizes[r - 1]]


def image_information(service: str, facts: Facts, limits: SizeLimits) -> Json:
    """info.json of the image service at the URL ``service``."""
    factors = scale_factors(facts)
    sizes = level_dimensions(facts.width, facts.height, len(factors) - 1)
    document: Json = {
        "@context": IMAGE_CONTEXT,
        "id": service,
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": "level2",
        "width": facts.width,
        "height": facts.height,
        "maxArea": limits.max_area,
        "sizes": [{"width": w, "height": h} for w, h in reversed(sizes) if limits.admits((w, h))],
        "tiles": [{"width": TILE, "height": TILE, "scaleFactors": factors}],
        "extraFormats": ["webp"],
        "extraQualities": ["color", "gray", "bitonal"],
        "extraFeatures": ["canonicalLinkHeader", "mirroring", "profileLinkHeader", "sizeUpscaling"],
    }
    for name, side in (("maxWidth", limits.max_width), ("maxHeight", limits.max_height)):
        if side is not None:
            document[name] = side
    return document


def manifest(base: str, label: str, images: list[tuple[str, Facts]], left_out: int, limits: SizeLimits) -> Json:
    """A IIIF Presentation 3.0 manifest with a canvas for each image.

    base: URL of the server without a slash at the end.  images: identifier and facts.  left_out: images of the folder
    that are not in it, because they cannot be read or are too many; the summary says so.
    """
    document: Json = {
        "@context": PRESENTATION_CONTEXT,
        "id": f"{base}/iiif/manifest.json",
        "type": "Manifest",
        "label": {"none": [label]},
        "items": [_canvas(base, number, *image, limits) for number, image in enumerate(images, 1)],
    }
    if left_out:
        document["summary"] = {"en": [f"{left_out} more files of this folder are left out: unreadable, or too many."]}
    return document


def _canvas(base: str, number: int, identifier: str, facts: Facts, limits: SizeLimits) -> Json:
    service = base + service_path(identifier, Variant())
    canvas = f"{base}/iiif/canvas/{quote(identifier, safe='')}"
    width, height = limits.largest(facts.size, upscale=False)
    thumbnail = _THUMBNAIL.largest((width, height), upscale=False)
    older = base + service_path(identifier, Variant(), 2)
    service_entry = [
        {"id": service, "type": "ImageService3", "profile": "level2"},
        {"@id": older, "@type": "ImageService2", "profile": PROFILE_2},
    ]
    body = {
        "id": f"{service}/full/max/0/default.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "width": width,
        "height": height,
        "service": service_entry,
    }
    small = {
        "id": f"{service}/full/{thumbnail[0]},{thumbnail[1]}/0/default.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "width": thumbnail[0],
        "height": thumbnail[1],
        "service": service_entry,
    }
    painting = {
        "id": f"{canvas}/annotation",
        "type": "Annotation",
        "motivation": "painting",
        "body": body,
        "target": canvas,
    }
    return {
        "id": canvas,
        "type": "Canvas",
        "label": {"none": [identifier]},
        "width": facts.width,
        "height": facts.height,
        "thumbnail": [small],
        "items": [{"id": f"{canvas}/page", "type": "AnnotationPage", "items": [painting]}],
    }


def details(identifier: str, facts: Facts, layer_bytes: list[int | None], first: tuple[int, int] | None = None) -> Json:
    """What the viewer shows about one image.

    Args:
        identifier: of the image.
        facts: what its header says.
        layer_bytes: bytes of the file up to each quality layer.
        first: how often halved and with how many layers it can be shown after a few percent of the file.
    """
    view = None
    if first is not None:
        width, height = level_dimensions(facts.width, facts.height, first[0])[first[0]]
        view = {"width": width, "height": height, "layers": first[1]}
    return {
        "id": identifier,
        "codec": facts.codec,
        "width": facts.width,
        "height": facts.height,
        "bytes": facts.bytes,
        "levels": facts.levels,
        "decodes": list(facts.decodes),
        "complete": facts.complete,
        "layers": layer_bytes,
        "first": view,
    }
