"""Networks that turn tiles into features: `backbones` to fine-tune, frozen `extractors`, `weights`, `cache`."""
