"""Pixels of every kind of file against OpenCV's, and files that are no whole images."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")


from PIL import Image

from lxmert_data.detector.images import make_input, read_pixels
from lxmert_data.errors import ImageError

HEIGHT, WIDTH = 97, 133


def draw() -> Image.Image:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.stack([128 + 100 * np.sin(x / 7 + y / 11), 2 * x % 256, (x * y // 40) % 256], -1)
    return Image.fromarray(waves.astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha() -> Image.Image:
    image = draw().convert("RGBA")
    image.putalpha(Image.fromarray((np.arange(HEIGHT * WIDTH) % 256).astype(np.uint8).reshape(HEIGHT, WIDTH)))
    return image


def list_cases() -> dict[str, bytes]:
    image = draw()
    cases = {f"JPEG, sampling {n}": encode(image, "JPEG", subsampling=n, quality=83) for n in (0, 1, 2)}
    cases["progressive JPEG"] = encode(image, "JPEG", progressive=True)
    cases["grey JPEG"] = encode(image.convert("L"), "JPEG")
    cases["CMYK JPEG"] = encode(image.convert("CMYK"), "JPEG")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        cases[f"JPEG turned {orientation}"] = encode(image, "JPEG", exif=exif)
        cases[f"PNG turned {orientation}"] = encode(image, "PNG", exif=exif)
    for mode in ("RGB", "P", "L", "1"):
        cases[f"{mode} PNG"] = encode(image.convert(mode), "PNG")
        cases[f"{mode} BMP"] = encode(image.convert(mode), "BMP")
        cases[f"{mode} TIFF"] = encode(image.convert(mode), "TIFF")
    cases["PNG with alpha"] = encode(with_alpha(), "PNG")
    cases["grey PNG with alpha"] = encode(with_alpha().convert("LA"), "PNG")
    cases["palette PNG with a transparent colour"] = encode(image.convert("P"), "PNG", transparency=3)
    cases["PNG with a transparent colour"] = encode(image, "PNG", transparency=(1, 2, 3))
    grey16 = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 5
    cases["PNG of 16 bits"] = encode(Image.fromarray(grey16), "PNG")
    cases["WebP"] = encode(image, "WEBP")
    cases["WebP with alpha"] = encode(with_alpha(), "WEBP", lossless=True, exact=True)
    cases["TIFF with LZW"] = encode(image, "TIFF", compression="tiff_lzw")
    cases["GIF"] = encode(image.convert("P"), "GIF")
    return cases


@pytest.mark.parametrize("kind", list_cases())
def test_pixels_are_opencvs(kind: str) -> None:
    cv2 = pytest.importorskip("cv2")
    content = list_cases()[kind]
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(read_pixels(content), expected)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_a_jpeg_without_all_its_pixels_is_refused(options: dict[str, bool], end: bytes) -> None:
    whole = encode(draw(), "JPEG", **options)
    for kept in (len(whole) // 2, len(whole) - 40):
        with pytest.raises(ImageError):
            read_pixels(whole[:kept] + end)


def test_a_jpeg_that_only_lacks_its_end_marker_is_read() -> None:
    whole = encode(draw(), "JPEG")
    assert np.array_equal(read_pixels(whole[:-2]), read_pixels(whole))


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"<svg/>", b"BM" + b"\0" * 60]
)
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(ImageError):
        read_pixels(content)


def test_sources() -> None:
    image = draw()
    expected = np.asarray(image)[:, :, ::-1]
    assert np.array_equal(read_pixels(image), expected)
    assert np.array_equal(read_pixels(np.ascontiguousarray(expected)), expected)
    with pytest.raises(ImageError, match="blue first"):
        read_pixels(expected[:, :, 0])
    with pytest.raises(ImageError):
        read_pixels(3)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="does not exist"):
        read_pixels("missing.jpg")


@pytest.mark.parametrize("size", [(1200, 1600), (1201, 1603), (13, 4000)])
def test_sizes(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    if min(size) < 16:
        with pytest.raises(ImageError, match="narrow"):
            make_input(pixels)
        return
    prepared = make_input(pixels)
    assert prepared.scale == 600 / size[0]
    if size == (1200, 1600):
        means = np.array([102.9801, 115.9465, 122.7717])
        expected = pixels.reshape(600, 2, 800, 2, 3).mean(axis=(1, 3)) - means
        assert np.abs(prepared.data - expected.transpose(2, 0, 1)).max() < 1e-4
