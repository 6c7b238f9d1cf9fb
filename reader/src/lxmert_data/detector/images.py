"""Images to the network's input, with the pixels that OpenCV 4.6 made for the reference values.

Pillow decodes. It has OpenCV's libjpeg-turbo, with the same inverse DCT and upsampling, and unlike OpenCV it reports
a file that ends early; what the two do differently (orientation, alpha, 16 bits, CMYK) is done here. The tests compare
its pixels with OpenCV's for each kind of file. Resizing is written out, because OpenCV 5 rounds in another way.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Union

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .regions import MIN_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
ImageSource = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Pixels, "Image"]

_MEANS = (102.9801, 115.9465, 122.7717)
"""Of the training images: blue, green, red."""
_SHORT_SIDE, _LONG_SIDE = 600, 1000
_MOST_BYTES = 2**30
# Coded data without meaning and without markers.
_NOISE = bytes((i * 167 + (i >> 3) * 59 + 90) % 251 for i in range(4096))
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
_READ = (_JPEG, b"\x89PNG\r\n\x1a\n", b"RIFF", b"II*\0", b"MM\0*", b"BM", b"GIF8")


class NetworkInput(NamedTuple):
    """What the network reads of one image."""

    data: Floats
    """(3, height, width): blue, green, red with the mean taken off."""
    scale: float
    """Pixels of the input for one of the image."""
    image_size: tuple[int, int]
    """Height and width of the image."""


def read_pixels(source: ImageSource) -> Pixels:
    """uint8 (height, width, 3), blue first, of a path, the bytes of a file, an image of PIL, or such an array.

    Raises ImageError for what is no image, or lacks pixels. An image of PIL is taken as it is: if it was opened from a
    JPEG, give the path instead, since PIL does not turn it by its EXIF orientation.
    """
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or 0 in source.shape:
            raise ImageError(
                "an array is not an image",
                expected="uint8 (height, width, 3), blue first",
                got=f"{source.dtype} {source.shape}",
            )
        return source
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(bytes(source), None)
    if isinstance(source, (str, os.PathLike)):
        return _decode(_read_file(Path(source)), os.fspath(source))
    if callable(getattr(source, "convert", None)):
        return np.ascontiguousarray(np.asarray(source.convert("RGB"))[:, :, ::-1])
    raise ImageError(
        "this is not an image", expected="a path, bytes, a PIL image or a uint8 array", got=repr(type(source))
    )


def make_input(pixels: Pixels) -> NetworkInput:
    """Takes the mean off and resizes as the original does. Raises ImageError where no region fits into the image."""
    height, width = pixels.shape[:2]
    scale = _SHORT_SIDE / min(height, width)
    if round(scale * max(height, width)) > _LONG_SIDE:
        scale = _LONG_SIDE / max(height, width)
    size = (round(height * scale), round(width * scale))
    if min(size) < float(np.float32(MIN_SIDE * np.float32(scale))):
        raise ImageError(
            f"the image is too narrow for the network, which needs sides of at least {MIN_SIDE} pixels",
            got=f"{width} x {height} pixels",
        )
    # OpenCV turns a linear resize to exactly half into the mean of 2 x 2 pixels.
    resized = _halve(pixels, size) if scale == 0.5 else _interpolate(pixels, size, scale)
    return NetworkInput(np.ascontiguousarray(resized.transpose(2, 0, 1)), scale, (height, width))


def _interpolate(pixels: Pixels, size: tuple[int, int], scale: float) -> Floats:
    height, width = pixels.shape[:2]
    row, row_weight = _find_taps(size[0], scale)
    column, column_weight = _find_taps(size[1], scale)
    # Across, a sample beyond the border is the border pixel itself; down, it is mixed from two equal ones.
    column_weight[(column < 0) | (column >= width - 1)] = 0
    column = np.clip(column, 0, width - 1)
    upper, lower = np.clip(row, 0, height - 1), np.clip(row + 1, 0, height - 1)
    used, places = np.unique(np.concatenate([upper, lower]), return_inverse=True)
    left = _shift(pixels[used][:, column])
    right = _shift(pixels[used][:, np.minimum(column + 1, width - 1)])
    stretched = left * (1 - column_weight)[:, None] + right * column_weight[:, None]
    weight = row_weight[:, None, None]
    mixed = stretched[places[: size[0]]] * (1 - weight) + stretched[places[size[0] :]] * weight
    return mixed.astype(np.float32, copy=False)


def _find_taps(count: int, scale: float) -> tuple[NDArray[np.int64], Floats]:
    """Lower neighbour of each sample and the weight of the upper one."""
    position = ((np.arange(count) + 0.5) * (1 / scale) - 0.5).astype(np.float32)
    index = np.floor(position)
    return index.astype(np.int64), position - index


def _halve(pixels: Pixels, size: tuple[int, int]) -> Floats:
    height, width = pixels.shape[:2]
    shape = (2 * size[0], 2 * size[1], 3)
    padded = np.zeros(shape, np.float32)
    counts = np.zeros(shape, np.float32)
    rows, columns = min(height, shape[0]), min(width, shape[1])
    padded[:rows, :columns] = _shift(pixels[:rows, :columns])
    counts[:rows, :columns] = 1

    def add(values: Floats) -> Floats:
        total: Floats = values[::2, ::2] + values[::2, 1::2] + values[1::2, ::2] + values[1::2, 1::2]
        return total

    return add(padded) / add(counts)


def _shift(pixels: Pixels) -> Floats:
    """Takes the mean off: computed in double, rounded once."""
    return np.subtract(pixels, np.array(_MEANS)).astype(np.float32)


def _read_file(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ImageError("the image does not exist, or is no regular file", str(path))
        if path.stat().st_size > _MOST_BYTES:
            raise ImageError("the image file is too large", str(path), got=f"{path.stat().st_size} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ImageError("cannot read the image", str(path), got=str(error)) from error


def _decode(content: bytes, path: str | None) -> Pixels:
    if not content.startswith(_READ):
        raise ImageError(
            "this is not an image of a format that is read",
            path,
            "JPEG, PNG, WebP, TIFF, BMP or GIF",
            f"first bytes {content[:8].hex(' ') or '(none)'}",
        )
    is_jpeg = content.startswith(_JPEG)
    # A JPEG that lacks nothing but its end marker is read.
    end = content.rfind(_JPEG_END) if is_jpeg else -1
    body = content[:end] if end >= 0 else content
    try:
        pixels = _decode_with_pillow(body + _JPEG_END if is_jpeg else content)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error) as error:
        raise ImageError(
            "cannot read the image",
            path,
            "a whole and valid file",
            f"a damaged one of {len(content)} bytes: {error}",
            "download or copy it again, or leave it out",
        ) from error
    if is_jpeg and _takes_more(body, pixels):
        raise ImageError(
            "pixels of this JPEG are missing",
            path,
            "a whole JPEG",
            f"premature end of JPEG data; the file has {len(content)} bytes",
            "download or copy it again",
        )
    return pixels


def _decode_with_pillow(content: bytes) -> Pixels:
    from PIL import Image, ImageOps

    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
        image.load()
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    is_jpeg_cmyk = image.format in ("JPEG", "MPO") and image.mode == "CMYK"
    turned = ImageOps.exif_transpose(image) if image.format in ("JPEG", "MPO", "PNG", "WEBP", "TIFF") else image
    if is_jpeg_cmyk:
        return _mix_inks(255 - np.asarray(turned))
    if turned.mode.startswith("I;16") or (turned.mode == "I" and image.format == "PNG"):
        grey = (np.asarray(turned).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.ascontiguousarray(np.asarray(_drop_alpha(turned).convert("RGB"))[:, :, ::-1])


def _drop_alpha(image: Image) -> Image:
    """Colours as stored: nothing is blended, and what a palette calls transparent stays."""
    image.info.pop("transparency", None)
    return image.convert("RGBA") if image.mode in ("PA", "RGBa") else image


def _mix_inks(inks: Pixels) -> Pixels:
    """Inverted CMYK (0 is full ink), as JPEGs store it, to blue, green, red with OpenCV's arithmetic."""
    values = inks.astype(np.int32)
    black = values[..., 3:]
    mixed = black - (((255 - values[..., :3]) * black) >> 8)
    return np.ascontiguousarray(mixed[..., ::-1].astype(np.uint8))


def _takes_more(body: bytes, pixels: Pixels) -> bool:
    """Whether a decoder takes more data than there is: then pixels follow from whatever stands behind it."""
    try:
        longer = _decode_with_pillow(body + _NOISE + _JPEG_END)
    except (OSError, ValueError, SyntaxError):
        return False
    return not np.array_equal(longer, pixels)
