"""Vision unlearning: image classifiers, face benchmarks and the protection of images."""
