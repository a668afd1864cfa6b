"""The image adapter: loaders, masks and benchmarks of image networks on the same engine (to come)."""
