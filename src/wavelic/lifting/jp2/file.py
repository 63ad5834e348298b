"""An opened JPEG 2000 file, ours or plain; loads no torch until samples are asked for.

Ours have the learned synthesis that their box names.  The bytes are in memory, or at a source (a web server, a local
file) of which every request fetches the packets it needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.jp2_box import (
    BOX_ID,
    NO_MODEL,
    find_payload,
    unpack_box,
)
from wavelic.codec.opened import Pixels, Progress, Region
from wavelic.codec.options import check_device
from wavelic.codec.request import Request
from wavelic.codec.weights import Card
from wavelic.enhance.catalogue import PRODUCT, enhancement_weights, find_enhance
from wavelic.enhance.suitable import check_colours, check_picture
from wavelic.errors import ModelError, UnsupportedError, UsageError
from wavelic.images import Image
from wavelic.jpeg2000 import Uuid, decode_codestream
from wavelic.jpeg2000.picture import read_stored
from wavelic.lifting.cards import ENHANCE
from wavelic.lifting.jp2.contents import Jp2Contents
from wavelic.lifting.jp2.info import jp2_info

if TYPE_CHECKING:
    from wavelic.lifting.transform.transform import LiftingTransform


@dataclass(frozen=True)
class Jp2File(Jp2Contents):
    """An opened JPEG 2000 file (`wavelic.codec.opened.OpenedFile`): checked, not yet decoded.

    Its attributes are those of `wavelic.lifting.jp2.description.Jp2Description`.
    """

    @property
    def info(self) -> dict[str, Any]:
        """What the file is: format, codec, model, geometry, layers, precincts and boxes."""
        return jp2_info(self)

    def decode(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Image:
        """Decode samples, with the file's metadata; see `wavelic.codec.opened.OpenedFile.decode`."""
        request = self.request(reduce, layers, region)
        remarks: list[str] = []
        if self.picture is not None:
            remarks += self.picture.remarks
            card = self._enhancement(remarks)  # before torch is loaded
            if card is not None:
                from wavelic.lifting.jp2.enhanced import read_enhanced

                pixels = read_enhanced(self, card, request, remarks, device, progress)
            else:
                pixels = self.read_plain(request, progress)
            return Image(pixels, self.metadata_with(remarks), tuple(remarks))
        transform, card = self.transform(device), self._enhancement(remarks)
        import torch

        from wavelic.lifting.jp2 import synthesis

        network = None
        if card is not None:
            from wavelic.enhance.weights import load_network

            network = load_network(card, check_device(device))
        threads = torch.get_num_threads()
        try:
            pixels = synthesis.read(self, transform, request, threads=threads, progress=progress, network=network)
        except UnsupportedError as error:
            if network is None:
                raise
            remarks.append(f"not enhanced: {error}")
            pixels = synthesis.read(self, transform, request, threads=threads, progress=progress)
        return Image(pixels, self.metadata, tuple(remarks))

    @property
    def can_enhance(self) -> bool:
        """Whether the picture can be decoded with a network, as far as headers say, and there are weights."""
        if self.network_name not in {card.name for card in enhancement_weights()}:
            return False
        try:
            check_colours(self.header, self._colours)
        except UnsupportedError:
            return False
        return True

    @property
    def network_name(self) -> str:
        """Name of the network's weights: those of learned lifting are of its own coefficients."""
        return PRODUCT if self.box.model == NO_MODEL else ENHANCE

    @property
    def _colours(self) -> tuple[int, ...]:
        """Components that are luma or colours.  Raises UnsupportedError if they are indices."""
        return tuple(range(len(self.header.components))) if self.picture is None else check_picture(self.picture)

    def _enhancement(self, remarks: list[str]) -> Card | None:
        """The weights to enhance with; None, with a remark, where only the file asks for it and there are none."""
        if not self.enhances:
            return None
        try:
            return find_enhance(self.network_name)
        except ModelError as error:
            if self.enhance:
                raise
            remarks.append(f"not enhanced: {error}")
            return None

    def enhanced(self, enhance: bool = True) -> Jp2File:
        """Return the same file, decoded with a network or as every other program decodes it.

        Where a file cannot be enhanced (a palette, subsampled or signed samples, HTJ2K, regions of interest), it is
        decoded as it is, and a remark of the image says so.

        Args:
            enhance: with a network.
        """
        return replace(self, enhance=enhance)

    def read(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
        *,
        enhance: bool | None = None,
    ) -> Pixels:
        """Decode samples; see `wavelic.codec.opened.OpenedFile.read`.

        Args:
            reduce: as there.
            layers: as there.
            region: as there.
            device: as there.
            enhance: decode as `enhanced` does; None: as the file says.
        """
        file = self if enhance is None else self.enhanced(enhance)
        return file.decode(reduce, layers, region, device).pixels

    def read_stored(
        self, reduce: int = 0, layers: int | None = None, region: Region | None = None
    ) -> NDArray[np.integer]:
        """Decode the components as they are stored: of any depth, signed or not, not scaled, no change of colours.

        Args:
            reduce: as for `read`.
            layers: as for `read`.
            region: as for `read`.

        Returns:
            (height, width, components) of the smallest integer type that holds all of them.

        Raises:
            UsageError: the file is of codec lifting, whose components are no picture; or as `read`.
            FormatError: the file is damaged.
        """
        if self.picture is None:
            raise UsageError("a file of codec lifting has no samples as they are stored; leave out unscaled")
        request = self.request(reduce, layers, region)
        return read_stored(self.stored(request, None), request.area)

    def verify(self) -> None:
        """Check all that can be checked without synthesis: checksum, weights, alpha, and a decode of everything.

        Of a file that is read in parts the whole codestream is read.

        Raises:
            ChecksumError: the codestream is not the one that was written.
            FormatError: the file is damaged.
            ModelError: its weights are not installed.
            SourceError: its bytes cannot be had.
        """
        self.alpha()
        if self.box.model != NO_MODEL:
            self.card()
        data = self.codestream.whole()
        payload = find_payload(self.jp2.uuids, BOX_ID)
        if payload is not None and self.complete:
            unpack_box(Uuid(BOX_ID, payload), data)
        decode_codestream(data, limits=self.codestream.limits, header=self.header)

    def read_bytes(self, reduce: int = 0, layers: int | None = None, region: Region | None = None) -> int:
        """Count the bytes that `read` with the same arguments fetches: none of a file in memory.

        Raises:
            UsageError: as `read`.
            ModelError: the weights, which decide what is needed, are not installed.
        """
        request = self.request(reduce, layers, region)
        return self.codestream.costs(request, self.margins(self.transform()))[request.layers - 1]

    def layers_within(self, max_bytes: int, reduce: int = 0, region: Region | None = None) -> int:
        """Find the most layers with which `read` fetches at most ``max_bytes``.

        Args:
            max_bytes: that the read may fetch.
            reduce: as for `read`.
            region: as for `read`.

        Raises:
            UsageError: the first layer takes more, or as `read`.
            ModelError: the weights, which decide what is needed, are not installed.
        """
        costs = self.codestream.costs(self.request(reduce, None, region), self.margins(self.transform()))
        if costs[0] > max_bytes:
            raise UsageError(
                f"the first layer takes {costs[0]} bytes, and {max(max_bytes, 0)} are left of max_bytes;"
                " allow more, or ask for less: a higher reduce or a smaller region"
            )
        return max(layers for layers, cost in enumerate(costs, 1) if cost <= max_bytes)

    def best_within(self, max_bytes: int, region: Region | None = None) -> Request:
        """Find the finest resolution of which the first layer lies in so many bytes of the file, and the most layers.

        It is what a first view needs: a read of the result decodes these bytes only.

        Args:
            max_bytes: of the file, headers included.
            region: as for `read`.

        Raises:
            UsageError: not even the coarsest resolution is so small, or the file does not say where its packets are.
            ModelError: the weights, which decide what is needed, are not installed.
        """
        margins, headers = self.margins(self.transform()), self.codestream.headers_end
        if headers is None:
            raise UsageError("the file does not say where its packets are (PLT); leave out max_bytes")
        for reduce in range(self.levels + 1):
            request = self.request(reduce, 1, region)
            best = None
            while headers + self.codestream.packet_bytes(request, margins) <= max_bytes:
                best = request
                if request.layers == self.layer_count:
                    break
                request = replace(request, layers=request.layers + 1)
            if best is not None:
                return best
        needed = headers + self.codestream.packet_bytes(self.request(self.levels, 1, region), margins)
        raise UsageError(f"the coarsest resolution takes {needed} bytes, expected at most {max_bytes}; allow more")

    def packet_ranges(self, transform: LiftingTransform | None, request: Request) -> list[tuple[int, int]] | None:
        """List the bytes [start, stop) of the file with the packets a request needs, headers left out.

        Args:
            transform: of the synthesis; None for the base wavelet alone.
            request: from `request`.

        Returns:
            Sorted ranges; None if the file does not say where its packets are.
        """
        return self.codestream.ranges(request, self.margins(transform)) if self.complete else None
