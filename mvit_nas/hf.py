"""Every model folder in Hugging Face's transformers, after ``import mvit_nas.hf``:
``AutoModelForImageClassification.from_pretrained(folder)`` and ``pipeline("image-classification", folder)``.
"""

import json
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

try:
    from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("mvit_nas.hf needs transformers: pip install 'mvit-nas[hf]'", name=error.name) from None

from mvit_nas.models.document import ModelDocument
from mvit_nas.models.folder import MODEL_TYPE
from mvit_nas.nn.backbone import MobileViT, build


class MvitNasConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]  # of its __init_subclass__
    """The ``config.json`` of a model folder: the model's document beside what transformers keeps."""

    model_type = MODEL_TYPE
    # A field, since what is none and has the name of a parameter of text generation is dropped.
    temperature: float = 1.0

    def document(self) -> ModelDocument:
        """What the model says of itself. Raises InputError for a configuration that no model folder has."""
        return ModelDocument.parse(json.dumps(self.to_dict()), where="the configuration")

    def to_dict(self) -> dict[str, Any]:
        """Plain values. The classes are those of ``id2label``, which a person may have given anew."""
        plain: dict[str, Any] = super().to_dict()
        names = {int(index): name for index, name in (self.id2label or {}).items()}
        plain["classes"] = [names[index] for index in sorted(names)]
        return plain


class MvitNasForImageClassification(PreTrainedModel):
    """A network of a model folder. Its logits are those of the network divided by the model's temperature: their
    softmax is what ``mvit-nas predict`` says.
    """

    config_class = MvitNasConfig
    main_input_name = "pixel_values"

    def __init__(self, config: MvitNasConfig) -> None:
        super().__init__(config)
        document = config.document()
        self.temperature = document.temperature
        # The network's parts as this module's own, so that the weights have the names of the folder's file.
        for name, part in build(document.arch, classes=len(document.classes)).named_children():
            self.add_module(name, part)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, **ignored: object
    ) -> ImageClassifierOutputWithNoAttention:
        """Logits [B, classes] of images [B, 3, side, side] in [0, 1]; with ``labels`` [B] the loss too."""
        logits_BK = MobileViT.forward(self, pixel_values) / self.temperature  # type: ignore[arg-type]
        loss = None if labels is None else cross_entropy(logits_BK, labels)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits_BK)


AutoConfig.register(MODEL_TYPE, MvitNasConfig, exist_ok=True)  # a notebook may load this module again
AutoModelForImageClassification.register(MvitNasConfig, MvitNasForImageClassification, exist_ok=True)
