"""Code and decode clips from the command line.

python -m applications.video encode CLIP OUT.wlv --model MODEL
python -m applications.video decode IN.wlv OUT.mkv --model MODEL
python -m applications.video export CHECKPOINT MODEL --recipe cpu-1024 --arm wavelet
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from applications.arms import ARMS
from applications.video.clips import read_clip, write_clip
from applications.video.codec import decode_clip, encode_clip
from applications.video.model import coder_of, export, load_model
from applications.video.task import RECIPES
from wavelic.errors import OutputError, SourceError, WavelicError
from wavelic.images import atomic_output


def main(words: list[str] | None = None) -> int:
    """Parse the command line; errors are one line and the exit status of their type."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("encode", "decode"):
        command = commands.add_parser(name)
        command.add_argument("source", type=Path)
        command.add_argument("target", type=Path)
        command.add_argument("--model", type=Path, required=True)
        if name == "encode":
            command.add_argument("--force", action="store_true", help="replace the file")
            command.add_argument("--group", type=int, default=12, help="frames from one intra frame to the next")
            command.add_argument("--intra", default="weconvene", help="codec of the intra frames")
    command = commands.add_parser("export")
    command.add_argument("source", type=Path)
    command.add_argument("target", type=Path)
    coders = [name for name, recipe in RECIPES.items() if not recipe.option("alone", "")]
    command.add_argument("--recipe", required=True, choices=coders)
    command.add_argument("--arm", required=True, choices=ARMS)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)  # results of convolutions depend on the number
    try:
        {"encode": _encode, "decode": _decode, "export": _export}[arguments.command](arguments)
    except WavelicError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _encode(arguments: argparse.Namespace) -> None:
    data = encode_clip(read_clip(arguments.source), load_model(arguments.model), arguments.group, arguments.intra)
    with atomic_output(arguments.target, force=arguments.force) as file:
        file.write(data)


def _decode(arguments: argparse.Namespace) -> None:
    try:
        data = arguments.source.read_bytes()
    except OSError as error:
        raise SourceError(f"{arguments.source} cannot be read: {error.strerror}; give a clip") from None
    write_clip(decode_clip(data, load_model(arguments.model)), arguments.target)


def _export(arguments: argparse.Namespace) -> None:
    recipe = RECIPES[arguments.recipe]
    network = coder_of(recipe, arguments.arm)
    try:
        network.load_state_dict(torch.load(arguments.source, weights_only=True)["network"])
    except (OSError, RuntimeError, KeyError) as error:
        cause = str(error).splitlines()[0]
        raise OutputError(
            f"{arguments.source} is no checkpoint of {arguments.recipe}: {cause}; train it first"
        ) from None
    export(network, arguments.target, arguments.arm, recipe)


if __name__ == "__main__":
    raise SystemExit(main())
