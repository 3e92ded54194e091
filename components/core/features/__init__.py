"""Networks that look at tiles: `backbones` to fine-tune, frozen `extractors` of features, their `weights`, `cache`."""
