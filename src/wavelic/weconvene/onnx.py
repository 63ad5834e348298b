"""Transforms of `weconvene` for other runtimes: `torch.export` programs and ONNX files, for pictures of any size.

    python -m wavelic.weconvene.onnx synthesis.onnx                    # extra `onnx`; --part analysis for the other one
    python -m wavelic.weconvene.onnx synthesis.pt2                     # a torch.export program, without the extra

Both have the networks and all wavelet levels; entropy coding stays with wavelic.  The wavelet is a pair of convolutions
a level here: `wavelic.wavelets` works in place and on threads, which a graph cannot express.  The filters are the
impulse responses of that one, and the tests compare the two.

    analysis    rgb (N, 3, 128 h, 128 w), log2_step (N,) -> low (N, 3, 2 h, 2 w), detail_1 .. detail_6
    synthesis   low, detail_1 .. detail_6, log2_step     -> rgb, not clipped

``rgb`` has samples 0..255; ``detail_d`` is (N, 9, 128 h / 2^d, 128 w / 2^d): LH, HL and HH of Y, U, V in quantiser
steps; ``log2_step`` is log2 of the step in grey levels, from step_of_quality(q) / STEP_UNIT; h and w are 2 or more.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle, pixel_unshuffle

from wavelic.codec.weights import Card
from wavelic.errors import MissingDependencyError
from wavelic.images import atomic_output
from wavelic.wavelets import dwt1, idwt1
from wavelic.wavelets.coefficients import Coefficients1d
from wavelic.weconvene.layout import BANDS, COLOURS, GRID_LEVELS, LEVELS
from wavelic.weconvene.network import Transform
from wavelic.weconvene.subbands import WAVELET, Subbands, to_colours, to_rgb

Part = Literal["analysis", "synthesis"]
PARTS: tuple[Part, ...] = get_args(Part)
UNIT = 2 << LEVELS
"""Sides of pictures are multiples of this, and at least twice as much."""
_TAPS = {"analysis": 9, "synthesis": 11}  # of both filters together, around an even sample
_OPSET = 18
_DETAILS = tuple(f"detail_{level}" for level in range(1, LEVELS + 1))
_EXAMPLE = 3 * UNIT, 2 * UNIT


class Analysis(nn.Module):
    """Transform of a picture to what is quantised, as one graph.

    Args:
        transform: with its weights.
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform
        self.wavelet = Wavelet("analysis")

    def forward(self, rgb: Tensor, log2_step: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) samples 0..255 and (N,) -> the low band, and the details of level 1 to 6."""
        planes = to_colours(rgb - 127.5) / torch.exp2(log2_step)[:, None, None, None]
        low, fine = self.wavelet.decompose(planes, GRID_LEVELS)
        grid = _pack(low, fine)
        grid = grid + self.transform.f(grid, log2_step)
        low, fine = _unpack(grid)
        low, coarse = self.wavelet.decompose(low, LEVELS - GRID_LEVELS)
        scales = self.transform.band_scales(log2_step)
        return (low, *(detail * scale for detail, scale in zip((*fine, *coarse), scales, strict=True)))


class Synthesis(nn.Module):
    """Inverse of `Analysis`, approximately, as one graph.

    Args:
        transform: with its weights.
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform
        self.wavelet = Wavelet("synthesis")

    def forward(
        self, low: Tensor, d1: Tensor, d2: Tensor, d3: Tensor, d4: Tensor, d5: Tensor, d6: Tensor, log2_step: Tensor
    ) -> Tensor:
        """The low band, the details of level 1 to 6, and (N,) -> (N, 3, H, W), not clipped."""
        scales = self.transform.band_scales(log2_step)
        details = [detail / scale for detail, scale in zip((d1, d2, d3, d4, d5, d6), scales, strict=True)]
        grid = _pack(self.wavelet.compose(low, details[GRID_LEVELS:]), details[:GRID_LEVELS])
        grid = grid + self.transform.g(grid, log2_step)
        low, fine = _unpack(grid * torch.exp2(log2_step)[:, None, None, None])
        return to_rgb(self.wavelet.compose(low, fine)) + 127.5


def example(transform: Transform, part: Part) -> tuple[Tensor, ...]:
    """Inputs of a part for two pictures of noise, to trace or to try it with.

    Args:
        transform: with its weights.
        part: "analysis" or "synthesis".

    Returns:
        The tensors, in the order of ``forward``.
    """
    log2_step = torch.tensor([4.0, 6.5])
    rgb = torch.rand(len(log2_step), COLOURS, *_EXAMPLE, generator=torch.Generator().manual_seed(0)) * 255
    if part == "analysis":
        return rgb, log2_step
    with torch.inference_mode():
        bands: Subbands = transform.analysis(rgb, log2_step)
    return tuple(tensor.clone() for tensor in (bands.low, *bands.details, log2_step))


def export_program(transform: Transform, part: Part) -> torch.export.ExportedProgram:
    """Trace a part with `torch.export`, for any number of pictures with sides that are multiples of `UNIT`.

    Args:
        transform: with its weights, on the CPU.
        part: "analysis" or "synthesis".

    Returns:
        The program; ``module()`` of it is called like `Analysis` or `Synthesis`, ``torch.export.save`` writes it.
    """
    graph = (Analysis if part == "analysis" else Synthesis)(transform).eval()
    batch = torch.export.Dim("batch", min=1, max=1 << 10)
    height, width = torch.export.Dim("height", min=2, max=1 << 13), torch.export.Dim("width", min=2, max=1 << 13)

    def sides(unit: int) -> dict[int, Any]:
        return {0: batch, 2: unit * height, 3: unit * width}

    levels = [sides(UNIT >> level) for level in range(1, LEVELS + 1)]
    shapes = (*((sides(UNIT),) if part == "analysis" else (levels[-1], *levels)), {0: batch})
    with torch.no_grad():
        return torch.export.export(graph, example(transform, part), dynamic_shapes=shapes, strict=False)


def write_onnx(program: torch.export.ExportedProgram, part: Part, path: Path) -> None:
    """Write a program of `export_program` as an ONNX file, weights inside, opset 18.

    Args:
        program: the program.
        part: which part it is.
        path: of the file; an existing one is replaced.

    Raises:
        MissingDependencyError: the extra `onnx` is not installed.
        OutputError: the file cannot be written.
    """
    try:
        import onnx  # noqa: F401
        from onnxscript import opset18
    except ImportError as error:
        raise MissingDependencyError(
            f"{error.name} is not installed and ONNX files need it; run: pip install 'wavelic[onnx]'"
        ) from error
    inputs, outputs = [*("low", *_DETAILS)], ["rgb"]
    if part == "analysis":
        inputs, outputs = outputs, inputs
    names = {"input_names": [*inputs, "log2_step"], "output_names": outputs}

    def sign_bit(x: Any) -> Any:  # ONNX has no such operation
        return opset18.Less(x, opset18.CastLike(0.0, x))  # type: ignore[type-var]

    written = torch.onnx.export(
        program, dynamo=True, opset_version=_OPSET, **names,  # type: ignore[arg-type]
        custom_translation_table={torch.ops.prims.signbit.default: sign_bit},
    )  # fmt: skip
    assert written is not None
    with atomic_output(path, force=True) as stream:
        stream.write(written.model_proto.SerializeToString())


# --- The wavelet as convolutions -----------------------------------------------------------------------------------


class Wavelet(nn.Module):
    """One direction of the 9/7 wavelet as convolutions, on planes of three colours with even sides of 8 and more.

    Whole-sample symmetric extension is the padding "reflect", for the synthesis too, where it is that of the bands put
    back to the places of their samples.

    Args:
        part: which direction.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.margin = _TAPS[part] // 2
        filters = _filters(part).float()  # (2, taps): of even and of odd results
        self.register_buffer("rows", filters[:, None, :, None].repeat(COLOURS, 1, 1, 1), persistent=False)
        self.register_buffer("columns", filters[:, None, None].repeat(2 * COLOURS, 1, 1, 1), persistent=False)

    def both_axes(self, x: Tensor) -> Tensor:
        """(N, 3, 2 h, 2 w) -> (N, 12, h, w): of each colour the results of even and odd rows and columns."""
        x = pad(x, (self.margin,) * 4, mode="reflect")
        x = conv2d(x, self.rows, stride=(2, 1), groups=COLOURS)
        return conv2d(x, self.columns, stride=(1, 2), groups=2 * COLOURS)

    def decompose(self, x: Tensor, levels: int) -> tuple[Tensor, list[Tensor]]:
        """As `subbands.decompose`."""
        details = []
        for _ in range(levels):
            bands = self.both_axes(x)
            x, hl, lh, hh = (bands[:, first::4] for first in range(4))
            details.append(torch.cat((lh, hl, hh), 1))
        return x, details

    def compose(self, low: Tensor, details: list[Tensor]) -> Tensor:
        """As `subbands.compose`."""
        for detail in reversed(details):
            lh, hl, hh = detail.split(COLOURS, 1)
            bands = torch.stack((low, hl, lh, hh), 2).flatten(1, 2)
            low = pixel_shuffle(self.both_axes(pixel_shuffle(bands, 2)), 2)
        return low


def _filters(part: Part) -> Tensor:
    """Weights of the samples around an even sample, for the results of that place and of the next: (2, taps)."""
    taps, length = _TAPS[part], 64
    units = torch.eye(length, dtype=torch.float64)
    if part == "analysis":
        bands = dwt1(units, WAVELET)
        results = torch.stack((bands.low, bands.highs[0]), 2).flatten(1)
    else:
        results = idwt1(Coefficients1d(units[:, ::2], (units[:, 1::2],), length, -1, WAVELET, "orthonormal"))
    middle, half = length // 2, taps // 2
    return results[middle - half : middle + half + 1, middle : middle + 2].T.contiguous()


def _pack(low: Tensor, details: list[Tensor]) -> Tensor:
    """A grid as of `subbands.to_grid`, from its low band and its details, finest first."""
    packed = [pixel_unshuffle(d, 1 << distance) if distance else d for distance, d in enumerate(reversed(details))]
    return torch.cat((low, *packed), 1)


def _unpack(grid: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Inverse of `_pack`."""
    low, *packed = grid.split((COLOURS, *(BANDS << (2 * distance) for distance in range(GRID_LEVELS))), 1)
    details = [pixel_shuffle(d, 1 << distance) if distance else d for distance, d in enumerate(packed)]
    return low, details[::-1]


def installed_transform(card: Card | None = None) -> Transform:
    """Networks of installed weights in floats.

    Args:
        card: of the weights; None: those that codec weconvene encodes with.

    Raises:
        ModelError: they are not installed, or damaged.
    """
    from wavelic.weconvene.codec import WECONVENE
    from wavelic.weconvene.weights import load_model

    return copy.deepcopy(load_model(card or WECONVENE.weights()[0]).transform).float().eval()


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="FILE.onnx, or FILE.pt2 for a torch.export program")
    parser.add_argument("--part", choices=PARTS, default="synthesis")
    arguments = parser.parse_args()
    if arguments.file.suffix not in (".onnx", ".pt2"):
        parser.error(f"{arguments.file.name} ends in {arguments.file.suffix!r}; name a file .onnx or .pt2")
    program = export_program(installed_transform(), arguments.part)
    if arguments.file.suffix == ".onnx":
        write_onnx(program, arguments.part, arguments.file)
    else:
        torch.export.save(program, arguments.file)


if __name__ == "__main__":
    main()
