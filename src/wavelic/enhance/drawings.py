"""Pictures that nobody photographed, for training: pages of text, screens, line art and scans, drawn at random.

They are a small share of the crops.  Without them a network that has learned what photographs look like rounds off
edges that are exact, and brings noise to areas that have none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Pixels = NDArray[np.uint8]
Colour = tuple[int, ...]

_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz ABCDEFGHIKLMNOPRSTW  0123456789.,;-"))


def page(side: int, random: np.random.Generator) -> Pixels:
    """Draw lines of text, rules and flat areas.

    Args:
        side: of the picture in pixels.
        random: what is drawn is a function of its state.

    Returns:
        (side, side, 3).
    """
    dark, light = random.integers(0, 90, 3), random.integers(180, 256, 3)
    if random.random() < 0.6:
        dark, light = dark // 4, 255 - (255 - light) // 6
    ink, paper = (tuple(int(v) for v in one) for one in ((dark, light) if random.random() < 0.8 else (light, dark)))
    image = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(0, 5))):
        x, y, w, h = (int(v) for v in random.integers(0, side, 4))
        if random.random() < 0.5:
            draw.rectangle((x, y, x + w // 2, y + h // 2), fill=_colour(random))
        else:
            draw.line((x, y, w, h), fill=_colour(random), width=int(random.integers(1, 4)))
    size = float(random.uniform(8, 28))
    _write(draw, (float(random.uniform(0, 20)), float(random.uniform(0, size))), (side, side), size, ink, random)
    return np.asarray(image)


def screen(side: int, random: np.random.Generator) -> Pixels:
    """Draw windows with a title, a frame, small text, buttons and a gradient, one over another.

    Args:
        side: of the picture in pixels.
        random: what is drawn is a function of its state.

    Returns:
        (side, side, 3).
    """
    if random.random() < 0.5:
        image = Image.new("RGB", (side, side), _grayish(random))
    else:
        image = Image.fromarray(_gradient(side, random))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(1, 5))):
        left, top = (int(v) for v in random.integers(-side // 3, side * 3 // 4, 2))
        width, height = (int(v) for v in random.integers(side // 4, side, 2))
        body = _grayish(random) if random.random() < 0.8 else _colour(random)
        ink = _against(body)
        draw.rectangle((left, top, left + width, top + height), fill=body, outline=_grayish(random))
        bar = int(random.integers(10, 28))
        draw.rectangle((left + 1, top + 1, left + width - 1, top + bar), fill=_colour(random))
        size = float(random.uniform(8, 15))
        _write(draw, (left + 6.0, top + bar + 4.0), (left + width, top + height), size, ink, random)
        for _ in range(int(random.integers(0, 4))):
            x = left + int(random.integers(0, width))
            y = top + int(random.integers(bar, bar + max(1, height - bar)))
            box = (x, y, x + int(random.integers(6, 60)), y + int(random.integers(6, 24)))
            face = _colour(random)
            draw.rounded_rectangle(box, int(random.integers(0, 5)), fill=face, outline=ink)
            draw.text((x + 3, y + 1), "".join(random.choice(_LETTERS, 5)), fill=_against(face), font=_font(10.0))
    return np.asarray(image)


def line_art(side: int, random: np.random.Generator) -> Pixels:
    """Draw curves, polygons and circles of thin lines on one ground, as plans, maps and comics have them.

    Args:
        side: of the picture in pixels.
        random: what is drawn is a function of its state.

    Returns:
        (side, side, 3).
    """
    paper, ink = ((255, 255, 255), (0, 0, 0)) if random.random() < 0.6 else (_grayish(random), _colour(random))
    scale = 1 if random.random() < 0.4 else 2  # drawn twice as large and halved, edges have grays
    image = Image.new("RGB", (side * scale, side * scale), paper)
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(4, 24))):
        width = int(random.integers(1, 4)) * scale
        points = np.cumsum(random.normal(0, side * scale / 8, (int(random.integers(3, 12)), 2)), 0)
        points = points - points.mean(0) + random.uniform(0, side * scale, 2)
        corners = [(float(x), float(y)) for x, y in points]
        (x, y), radius = corners[0], float(random.uniform(2, side * scale / 4))
        kind = random.random()
        if kind < 0.5:
            draw.line(corners, fill=ink, width=width, joint="curve")
        elif kind < 0.7:
            fill = _colour(random) if random.random() < 0.5 else None
            draw.polygon(corners, fill=fill, outline=ink, width=width)
        elif kind < 0.9:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=width)
        else:
            for step in range(int(random.integers(5, 20))):  # hatching
                offset = step * 5 * scale
                draw.line((x + offset, y, x + offset + radius, y + radius), fill=ink, width=scale)
    return np.asarray(image.reduce(scale) if scale > 1 else image)


def scan(side: int, random: np.random.Generator) -> Pixels:
    """Draw a page or line art as a scanner sees it: soft, on paper that is not quite even, with noise, mostly gray.

    Args:
        side: of the picture in pixels.
        random: what is drawn is a function of its state.

    Returns:
        (side, side, 3).
    """
    drawn = Image.fromarray(page(side, random) if random.random() < 0.7 else line_art(side, random))
    values = np.asarray(drawn.filter(ImageFilter.GaussianBlur(float(random.uniform(0, 1.2))))).astype(np.float32)
    if random.random() < 0.8:
        values = np.repeat(values.mean(-1, keepdims=True), 3, -1)
    contrast, black = random.uniform(0.6, 1.0), random.uniform(0, 40)
    shade = np.linspace(0, random.uniform(-12, 12), side, dtype=np.float32)[:, None, None]
    noise = random.normal(0, random.uniform(0.5, 6), (side, side, 1 if random.random() < 0.8 else 3))
    return np.clip(np.rint(values * contrast + black + shade + noise), 0, 255).astype(np.uint8)


#: Every kind, and how often `drawing` takes it.
KINDS: tuple[tuple[Callable[[int, np.random.Generator], Pixels], float], ...] = (
    (page, 0.2),
    (screen, 0.3),
    (line_art, 0.3),
    (scan, 0.2),
)


def drawing(side: int, random: np.random.Generator) -> Pixels:
    """Draw a picture of any kind.

    Args:
        side: of the picture in pixels.
        random: what is drawn is a function of its state.

    Returns:
        (side, side, 3).
    """
    kind = int(random.choice(len(KINDS), p=[share for _, share in KINDS]))
    return KINDS[kind][0](side, random)


def _colour(random: np.random.Generator) -> Colour:
    return tuple(int(v) for v in random.integers(0, 256, 3))


def _grayish(random: np.random.Generator) -> Colour:
    """A colour of screens: near white or near black, with little colour."""
    level = int(random.integers(215, 256)) if random.random() < 0.7 else int(random.integers(8, 60))
    return tuple(int(np.clip(level + v, 0, 255)) for v in random.integers(-6, 7, 3))


def _against(ground: Colour) -> Colour:
    """Black or white, whichever shows on a ground."""
    return (0, 0, 0) if sum(ground) > 3 * 127 else (255, 255, 255)


def _gradient(side: int, random: np.random.Generator) -> Pixels:
    """A linear change of colour, (side, side, 3)."""
    first, last = random.integers(0, 256, (2, 3))
    y, x = np.mgrid[:side, :side] / side
    angle = random.uniform(0, np.pi / 2)
    place = (x * np.cos(angle) + y * np.sin(angle)) / (np.cos(angle) + np.sin(angle))
    return np.rint(first + (last - first) * place[..., None]).astype(np.uint8)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _write(
    draw: ImageDraw.ImageDraw,
    start: tuple[float, float],
    stop: tuple[int, int],
    size: float,
    ink: Colour,
    random: np.random.Generator,
) -> None:
    """Fill a rectangle, given by its corners, with lines of letters of one size in pixels."""
    font = _font(size)
    (left, top), (right, bottom) = start, stop
    letters = max(1, int((right - left) / size * 2))
    while top < bottom - size:
        line = "".join(random.choice(_LETTERS, letters))
        draw.text((left + float(random.uniform(0, size)), top), line, fill=ink, font=font)
        top += size * float(random.uniform(1.1, 1.7))
