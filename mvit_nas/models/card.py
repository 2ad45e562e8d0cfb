"""A model's card: what it is, what it was trained on, how well it does, how to feed it. Markdown, as hubs show it."""

from collections.abc import Sequence

from mvit_nas.arch.count import count
from mvit_nas.models.document import ModelDocument
from mvit_nas.units import format_count

_CARD = """\
---
library_name: mvit-nas
pipeline_tag: image-classification
tags: [mobilevit, image-classification]
---

# {name}

A MobileViT network (arXiv 2110.02178) that says which of {number} classes an image shows: {params} parameters, {macs}
multiply-adds for an image of {side} px.

## How well it does

{facts}

## What it must be given

Images turned upright, {contract}, in the order {layout}. Another order of channels, range, crop or filter costs
accuracy and shows no error. `check/` holds photos with the inputs and the probabilities that must come of them.

Probabilities are the softmax of the logits divided by {temperature:.4g}, a temperature that {fitted}.

## Use

```sh
mvit-nas predict FOLDER photo.jpg
mvit-nas export FOLDER --format onnx,tflite
```

```python
import mvit_nas.hf
from transformers import pipeline

pipeline("image-classification", FOLDER)("photo.jpg")
```

## Classes

{classes}

## Limits

It knows these classes and no others: whatever it is shown, it names one of them. The accuracy holds for images like
those that it was tested on.
"""


def card(document: ModelDocument, *, name: str, facts: Sequence[str]) -> str:
    """The text of the card of the model ``name``. ``facts`` are sentences on its training and its accuracy."""
    cost = count(document.arch, classes=len(document.classes))
    return _CARD.format(
        name=_plain(name),
        number=len(document.classes),
        params=format_count(cost.params),
        macs=format_count(cost.macs),
        side=document.arch.image_size,
        facts="\n".join(f"- {_plain(fact)}" for fact in facts or ["Nothing was measured."]),
        contract=document.contract,
        layout=document.contract.layout,
        temperature=document.temperature,
        fitted="was fitted on validation images" if document.temperature != 1 else "was not fitted",
        classes=", ".join(map(_plain, document.classes)),
    )


def _plain(text: str) -> str:
    """``text`` on one line, without what Markdown or HTML would take as its own."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|" else sign for sign in " ".join(text.split()))
