"""What a collection is encoded with: written beside its shards, so that a resumed run does the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wavelic.codec.registry import DEFAULT_CODEC, check_options, get_codec
from wavelic.errors import FormatError, UsageError

if TYPE_CHECKING:
    from wavelic.codec.options import Options
    from wavelic.codec.target import Target

Layout = Literal["tar", "tree"]
LAYOUTS: tuple[Layout, ...] = ("tar", "tree")

#: The file that says what a folder of shards is.
JOB_FILE = "collection.json"

_FORMAT = "wavelic collection 1"


def check_layout(name: str) -> Layout:
    """``name`` if it is a layout, else UsageError."""
    for layout in LAYOUTS:
        if name == layout:
            return layout
    raise UsageError(f"layout {name!r}; choose one of {', '.join(LAYOUTS)}")


@dataclass(frozen=True)
class Job:
    """Everything that decides the bytes of a collection.

    Attributes:
        codec: a name of `wavelic.codec.registry.names`; None: that of `wavelic.encode`, which depends on the image.
        target: kind ("quality", "bpp", "psnr", "size") and value, as in `Target`; None for the codec's default.
        strip, layers, access, device, lossless: as in `wavelic.codec.options.Options`.
        shard_size: images in a shard.
        layout: "tar" for one archive per shard, "tree" for the folders of the source.
        measure: decode every file again and record its PSNR.
        threads: of a worker.  Fixed by the job and not by the machine, because float sums may depend on them.
    """

    codec: str | None = None
    target: tuple[str, float] | None = None
    strip: bool = False
    layers: int | tuple[float, ...] | None = None
    access: str = "whole"
    lossless: bool = False
    device: str = "cpu"
    shard_size: int = 1000
    layout: Layout = "tar"
    measure: bool = True
    threads: int = 1

    def __post_init__(self) -> None:
        if self.shard_size < 1:
            raise UsageError(f"a shard of {self.shard_size} images; give at least 1")
        check_layout(self.layout)
        if self.threads < 1:
            raise UsageError(f"{self.threads} threads for a worker; give at least 1")

    def check(self) -> None:
        """Raise UsageError for a codec, target, option or device that could code no image at all."""
        from wavelic.codec.options import check_device

        check_options(get_codec(self.codec or DEFAULT_CODEC), self.codec_options())
        check_device(self.device)
        target = self.codec_target()
        if target is not None and self.lossless:
            raise UsageError(
                f"lossless given with {target.kind} {target}, of which such files have none; leave one out"
            )

    def codec_target(self) -> Target | None:
        """The target as the encoder takes it."""
        from wavelic.codec.target import Target

        return Target.of(**{self.target[0]: self.target[1]}) if self.target else None

    def codec_options(self) -> Options:
        """The options as the encoder takes them."""
        from wavelic.codec.options import Options, check_access

        return Options(
            strip=self.strip,
            device=self.device,
            layers=self.layers,
            access=check_access(self.access),
            lossless=self.lossless,
        )

    def extension(self) -> str:
        """Of the compressed files, with its dot."""
        return get_codec(self.codec or DEFAULT_CODEC).extension

    def to_json(self) -> str:
        """One JSON document; `from_json` reads it back."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> Job:
        """Inverse of `to_json`; raises FormatError, naming the file ``name``, for anything else."""
        try:
            document = json.loads(text)
            if not isinstance(document, dict) or document.pop("format", None) != _FORMAT:
                raise ValueError("it does not say so")
            unknown = set(document) ^ {field.name for field in fields(cls)}
            if unknown:
                raise ValueError(f"{', '.join(sorted(unknown))} unknown or missing")
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
            return cls(**values)
        except (ValueError, TypeError) as error:
            raise FormatError(f"{name} is not {_FORMAT!r} ({error}); name the folder of a collection") from error

    def differences(self, other: Job) -> str:
        """The fields in which two jobs differ, as text; empty if they do not."""
        mine, theirs = asdict(self), asdict(other)
        return ", ".join(f"{key} {theirs[key]} -> {mine[key]}" for key in mine if mine[key] != theirs[key])


def read_job(folder: Path) -> Job:
    """The job of a collection.  Raises FormatError if ``folder`` holds none."""
    path = folder / JOB_FILE
    try:
        return Job.from_json(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{folder} is no collection ({JOB_FILE} cannot be read); name a folder that encode-dir wrote"
        ) from error
