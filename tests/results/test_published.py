from mvit_nas.results.published import Published, published_models

# Counted in the file without a CSV reader.
ROWS, NAMES, WITHOUT_PARAMS, WITHOUT_MACS = 364, 322, 19, 82


def test_every_row_is_there_and_what_a_source_does_not_state_is_missing():
    models = published_models()
    assert len(models) == ROWS
    assert len({model.name for model in models}) == NAMES
    assert sum(model.params is None for model in models) == WITHOUT_PARAMS
    assert sum(model.macs is None for model in models) == WITHOUT_MACS


def test_rows_read_by_hand():
    models = published_models()
    assert models[1] == Published(
        name="MobileViT-XS",
        params=2_300_000,
        macs=700_000_000,
        accuracy=0.748,
        source="MobileViT paper arXiv:2110.02178v2 Tables 3/9/11; FLOPs at 224",
    )
    # Commas within a name, and no multiply-adds.
    assert models[8] == Published(
        name="MobileViT-S (patch 8,4,2)",
        params=5_700_000,
        macs=None,
        accuracy=0.773,
        source="MobileViT paper arXiv:2110.02178v2 Table 6",
    )
    [small] = [model for model in models if model.name == "ESPNetv2 s=0.5"]
    assert (small.params, small.macs, small.accuracy) == (1_240_000, 28_370_000, 0.577)


def test_all_numbers_are_in_their_units():
    for model in published_models():
        assert 0.5 < model.accuracy < 0.84, model
        assert model.params is None or 5e5 <= model.params <= 1e8, model
        assert model.macs is None or 2e7 <= model.macs <= 2e10, model
        assert model.source, model
