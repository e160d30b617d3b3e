"""Captured images have no metadata, and look the same."""

import io

import numpy as np
import pytest
from classifier.contract import sniff
from PIL import Image, ImageCms, ImageOps, PngImagePlugin
from predictor.metadata import without_metadata

SECRET = b"Baker Street 221"


def photograph(kind: str, orientation: int, **more) -> bytes:
    """A picture whose corners differ, with a place in its Exif, a text and a colour profile."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = SECRET.decode(), orientation
    exif.get_ifd(0x8825)[0x001D] = "2026:11:29"  # the date of the position
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(1).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    made = io.BytesIO()
    picture = Image.fromarray(pixels).resize((64, 48), Image.Resampling.NEAREST)
    picture.save(made, kind, exif=exif, icc_profile=profile, **more)
    return made.getvalue()


def text(value: str) -> PngImagePlugin.PngInfo:
    made = PngImagePlugin.PngInfo()
    made.add_text("Comment", value)
    return made


CASES = {
    "JPEG": {"comment": SECRET},
    "JPEG progressive": {"progressive": True},
    "PNG": {"pnginfo": text(SECRET.decode())},
    "WEBP": {"xmp": b"<x>" + SECRET + b"</x>"},
    "MPO": {"save_all": True, "append_images": [Image.new("RGB", (64, 48), "red")]},
}


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("name", CASES)
def test_metadata_is_gone_and_the_picture_is_the_same(name, orientation):
    before = photograph(name.partition(" ")[0], orientation, **CASES[name])
    assert SECRET in before

    after = without_metadata(before, sniff(before))

    shown = [ImageOps.exif_transpose(Image.open(io.BytesIO(each))) for each in (before, after)]
    assert shown[0].size == ((48, 64) if orientation == 6 else (64, 48)) == shown[1].size
    assert np.array_equal(*(np.asarray(each.convert("RGB")) for each in shown))
    assert shown[1].info["icc_profile"] == shown[0].info["icc_profile"]
    assert SECRET not in after
    assert b"2026:11:29" not in after
    assert without_metadata(after, sniff(after)) == after


def test_an_image_that_is_cut_off_keeps_what_it_has():
    whole = photograph("JPEG", 1)
    cut = whole[:-20]
    assert without_metadata(cut, "image/jpeg").endswith(cut[-100:])


@pytest.mark.parametrize("data", [b"\xff\xd8\xffx", b"\xff\xd8\xff\xe1\x00", b"\x89PNG\r\n\x1a\nab", b"RIFF"])
def test_a_file_without_parts_is_refused(data):
    kind = {b"\xff": "image/jpeg", b"\x89": "image/png", b"R": "image/webp"}[data[:1]]
    with pytest.raises(ValueError, match="cannot be found"):
        without_metadata(data, kind)


def test_a_turned_picture_keeps_its_orientation_only():
    after = without_metadata(photograph("JPEG", 6), "image/jpeg")
    assert dict(Image.open(io.BytesIO(after)).getexif()) == {0x0112: 6}
