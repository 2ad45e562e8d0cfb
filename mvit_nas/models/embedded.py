"""The document of a model inside a file of a runtime, read back."""

import zipfile
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.models.document import KEY, ModelDocument

_ZIPPED = "metadata.json"


def read_document_of(path: Path) -> ModelDocument:
    """What the file at ``path`` says of itself. Raises InputError for one that carries no document."""
    text = {".onnx": _of_onnx, ".pte": _of_pte, ".tflite": _of_tflite}[path.suffix.lower()](path)
    if text is None:
        raise InputError(f"{path} does not say what it is: it is no file of mvit-nas; give --classes and --size")
    return ModelDocument.parse(text, where=str(path))


def _of_onnx(path: Path) -> str | None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found: str | None = session.get_modelmeta().custom_metadata_map.get(KEY)
    return found


def _of_pte(path: Path) -> str | None:
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(path)
    return str(program.load_method(KEY).execute([])[0]) if KEY in program.method_names else None


def _of_tflite(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        return archive.read(_ZIPPED).decode() if _ZIPPED in archive.namelist() else None
