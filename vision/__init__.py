"""Vision unlearning: image classifiers, face benchmarks and the protection of images.

Empty for now. The folder is part of the core's namespace:

>>> from mlunlearn import vision
>>> vision.__name__
'mlunlearn.vision'
"""
