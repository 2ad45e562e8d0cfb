"""Small pictures of images that were decoded before, to be shown in a page."""

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

# Of the longer side in pixels: enough to see what an image shows, and about 1 KB each.
_SIDE = 48


def thumbnail(pixels_HWC: npt.NDArray[np.uint8], aspect: float) -> str:
    """A JPEG as a data URI, in the proportions of the original: ``aspect`` is its width / height."""
    width, height = (_SIDE, round(_SIDE / aspect)) if aspect >= 1 else (round(_SIDE * aspect), _SIDE)
    file = io.BytesIO()
    small = Image.fromarray(np.ascontiguousarray(pixels_HWC)).resize((max(1, width), max(1, height)))
    small.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
