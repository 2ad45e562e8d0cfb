"""Networks as runtimes execute them, from a file: one image in, numbers for its classes out.

Each runtime is imported when a file of it is opened, and torch by none of them but ExecuTorch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvit_nas.errors import DeviceError, InputError, MvitNasError
from mvit_nas.silence import silence

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """A network of a file. ``shape`` is that of its images; a size that is free is 0.

    ``run`` takes one image of that shape, float32 in [0, 1], and gives the first output.
    """

    shape: tuple[int, ...]
    run: Callable[[Floats], Floats]

    @property
    def is_nhwc(self) -> bool:
        """Whether the colours come last."""
        return self.shape[-1:] == (3,)

    @property
    def sides(self) -> tuple[int, ...]:
        """The height and the width of its images; one that is free is 0."""
        return self.shape[1:3] if self.is_nhwc else self.shape[2:]

    def row(self, pixels_HWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """The output [classes] of one image as a contract makes it."""
        image_HWC = pixels_HWC.astype(np.float32) / np.float32(255)
        image = image_HWC if self.is_nhwc else np.ascontiguousarray(image_HWC.transpose(2, 0, 1))
        return np.asarray(self.run(image[None]), dtype=np.float64).reshape(-1)


def open_executed(path: Path) -> Executed:
    """The network in the file at ``path``. Raises InputError for one that is none, DeviceError without its runtime."""
    return _LOADERS[path.suffix](path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What a runtime raises within over the file at ``path``, as an InputError in one line; DeviceError without it.

    Nothing is printed meanwhile: some runtimes say how they were built.
    """
    title, package = RUNTIMES[path.suffix]
    try:
        with silence():
            yield
    except MvitNasError:
        raise
    except ModuleNotFoundError as error:
        raise DeviceError(f"{path} needs {title}, which is not installed: pip install {package} ({error})") from None
    except Exception as error:  # each runtime raises its own for what it cannot read
        raise InputError(f"{title} cannot execute {path}: {' '.join(str(error).split())}") from error


def _open_onnx(path: Path) -> Executed:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (images,) = session.get_inputs()

    def run(image: Floats) -> Floats:
        output: Floats = session.run(None, {images.name: image})[0]
        return output

    return Executed(shape=tuple(size if isinstance(size, int) else 0 for size in images.shape), run=run)


def _open_litert(path: Path) -> Executed:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (images,), output = interpreter.get_input_details(), interpreter.get_output_details()[0]

    def run(image: Floats) -> Floats:
        interpreter.set_tensor(images["index"], image)
        interpreter.invoke()
        found: Floats = interpreter.get_tensor(output["index"])
        return found

    return Executed(shape=tuple(map(int, images["shape"])), run=run)


def _open_executorch(path: Path) -> Executed:
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(path).load_method("forward")

    def run(image: Floats) -> Floats:
        found: Floats = method.execute([torch.from_numpy(image)])[0].numpy()
        return found

    return Executed(shape=tuple(method.metadata.input_tensor_meta(0).sizes()), run=run)


# By the file's ending: the runtime's name for people, and the package to install.
RUNTIMES = {
    ".onnx": ("ONNX Runtime", "onnxruntime"),
    ".pte": ("ExecuTorch", "executorch"),
    ".tflite": ("LiteRT", "ai-edge-litert"),
}
_LOADERS = {".onnx": _open_onnx, ".pte": _open_executorch, ".tflite": _open_litert}
